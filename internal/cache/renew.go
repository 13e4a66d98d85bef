package cache

import (
	"bytes"
	"strconv"

	"github.com/httpsys/httpsys/internal/cache/rules"
	"github.com/httpsys/httpsys/internal/wire/message"
)

// Status is the status of the stored response; of a part, that of the whole.
func (e *Entry) Status() int { return int(e.status) }

// Reason is its reason phrase.
func (e *Entry) Reason() []byte {
	line := e.data[:e.statusEnd]
	return line[len("HTTP/1.1 200 ") : len(line)-2]
}

// Own says whether it is stored by the application's own word to us.
func (e *Entry) Own() bool { return e.flags&own != 0 }

// LastModified is the value of that field.
func (e *Entry) LastModified() []byte {
	if e.modified == 0 {
		return nil
	}
	return appendDate(nil, e.modified)
}

// Merge appends the fields of the entry, as those of a newer response with the
// same body change them (RFC 9111 3.2). A Date is among them.
func (e *Entry) Merge(dst []message.Field, newer []message.Field, unix int64) []message.Field {
	hasDate := false
	for i := range newer {
		hasDate = hasDate || message.EqualFold(newer[i].Name, "date")
	}
	for _, f := range e.Fields(nil) {
		if message.EqualFold(f.Name, "date") {
			if !hasDate {
				dst = append(dst, message.Field{Name: f.Name, Value: appendDate(nil, unix)})
			}
			continue
		}
		replaced := false
		for i := range newer {
			if rules.Updates(newer[i].Name) && bytes.EqualFold(newer[i].Name, f.Name) {
				replaced = true
			}
		}
		if !replaced {
			dst = append(dst, f)
		}
	}
	for i := range newer {
		// What is for us alone is not stored, but has to be judged.
		if rules.Updates(newer[i].Name) || rules.ForUs(newer[i].Name) || message.EqualFold(newer[i].Name, "age") {
			dst = append(dst, newer[i])
		}
	}
	for _, t := range e.tags {
		dst = append(dst, message.Field{Name: []byte(rules.TagField), Value: []byte(t)})
	}
	return dst
}

// DateOf is the value of Date, or def.
func DateOf(fields []message.Field, def int64) int64 {
	for i := range fields {
		if message.EqualFold(fields[i].Name, "date") {
			if at, ok := rules.ParseDate(fields[i].Value); ok {
				return at
			}
			break
		}
	}
	return def
}

// Renew makes an entry with the body of an old one.
func Renew(d *Draft, old *Entry) *Entry {
	e := NewEntry(d, old.Len())
	if old.big != nil {
		e.data = append(make([]byte, 0, len(e.data)), e.data...)
		e.big = old.big
		return e
	}
	e.WithBody(old.data[old.headEnd:])
	return e
}

// Completable says whether the rest of a part can be asked for: the part is
// the beginning, and a strong entity-tag says what it is the beginning of.
func (e *Entry) Completable() bool {
	return e.Partial() && e.first == 0 && e.tagLen > 0 && !rules.Weak(e.ETag())
}

// Rest is the value of Range that asks for it.
func (e *Entry) Rest() []byte {
	return append(strconv.AppendInt([]byte("bytes="), e.Len(), 10), '-')
}

// ContinuedBy says whether a 206 with a body of n bytes is the rest of a
// part.
func (e *Entry) ContinuedBy(r *message.Response, n int64) bool {
	var tag, span []byte
	for i := range r.Fields {
		switch f := &r.Fields[i]; {
		case message.EqualFold(f.Name, "etag"):
			tag = f.Value
		case message.EqualFold(f.Name, "content-range"):
			span = f.Value
		}
	}
	want := append([]byte("bytes "), strconv.FormatInt(e.Len(), 10)...)
	want = append(append(want, '-'), strconv.FormatInt(e.total-1, 10)...)
	want = append(append(want, '/'), strconv.FormatInt(e.total, 10)...)
	return bytes.Equal(tag, e.ETag()) && bytes.Equal(span, want) && n == e.total-e.Len()
}

// Join makes a complete entry of a part and its rest.
func Join(d *Draft, old *Entry, rest []byte) *Entry {
	e := NewEntry(d, old.total)
	if old.big == nil {
		e.WithBody(append(append([]byte(nil), old.data[old.headEnd:]...), rest...))
		return e
	}
	b := old.big.cache.NewBody()
	for at := int64(0); at < old.Len(); {
		p := old.big.At(at, old.Len()-at)
		b.Append(p)
		at += int64(len(p))
	}
	b.Append(rest)
	b.Done = true
	e.WithBig(b)
	return e
}

// Union makes one entry of two parts of the same representation that touch or overlap (RFC 9111
// 3.4): nil if they are not, or are longer together than largest. The newer one's fields count.
func Union(newer, old *Entry, largest int64) *Entry {
	tag := newer.ETag()
	if !newer.Partial() || !old.Partial() || old.total != newer.total || tag == nil || rules.Weak(tag) || !bytes.Equal(tag, old.ETag()) {
		return nil
	}
	from, to := min(newer.first, old.first), max(newer.first+newer.Len(), old.first+old.Len())
	if newer.first > old.first+old.Len() || old.first > newer.first+newer.Len() || to-from > largest {
		return nil
	}
	body := make([]byte, to-from)
	for _, e := range [...]*Entry{old, newer} {
		at := e.first - from
		e.EachPiece(func(b []byte) { at += int64(copy(body[at:], b)) })
	}
	u := newer.with(nil)
	u.big, u.data = nil, newer.data[:newer.typeEnd:newer.typeEnd]
	u.apart().first = from
	if to-from == newer.total {
		u.flags &^= partial
	}
	if len(body) <= chunkSize {
		u.WithBody(body)
		return u
	}
	b := old.res.cache.NewBody()
	b.Append(body)
	b.Done = true
	u.WithBig(b)
	return u
}

// Remove takes the resource of an entry out, with all its variants, if it is
// there.
func (c *Cache) Remove(e *Entry) {
	r := e.res
	sh := c.shard(r.hash)
	sh.mu.Lock()
	sh.remove(c, r)
	sh.mu.Unlock()
}

// BodyCost is what a body of n bytes takes of the budget while it comes.
func BodyCost(n int64) int64 { return (n + chunkSize - 1) / chunkSize * chunkSize }
