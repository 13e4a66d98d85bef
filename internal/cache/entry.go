package cache

import (
	"math"
	"strconv"
	"sync/atomic"
	"unsafe"

	"github.com/httpsys/httpsys/internal/cache/rules"
	"github.com/httpsys/httpsys/internal/wire/message"
)

// Entry is one stored response. It does not change, but for its counters. What an answer needs comes first,
// as it is mostly not in the processor's caches.
type Entry struct {
	// data is the head and, unless big is set, the body behind it. The head is HTTP/1.1 text
	// without its empty line, in this order: status line, the fields that
	// go with a 304 too, others, Content-Type, Content-Length.
	data []byte
	born int64 // ms: when its age was 0

	statusEnd, validEnd, otherEnd, typeEnd, headEnd uint32
	lifetime, whileRevalidate, ifError              uint32 // seconds

	hits    atomic.Uint32
	lastHit atomic.Uint32 // seconds of the monotonic clock
	serial  uint32        // of the first in a chain: with stored it tells all apart that were ever there
	flags   flags
	status  uint16

	*rare        // what few have; nothing if it has none of it
	codes *codes // its compressed forms; nil: it has none and gets none
	big   *Body
	next  *Entry // the next variant; under the shard's lock, but see chain
	res   *resource

	tagAt  uint32 // of the entity-tag in data
	tagLen uint16
	keyed  uint16 // what its key takes beyond shortKey, in units of keyUnit

	stored   int64 // ms: when it was put here
	modified int64 // Last-Modified, seconds since 1970; 0: none
	date     int64 // Date
}

// rare is what few entries have, in a place of its own since there are many entries. It may be shared.
type rare struct {
	variant []byte // see rules.AppendVariant; nil: fits every request
	tags    []string
	first   int64 // with partial: the body is bytes first … of total
	total   int64
}

// nothing is the rare of most entries. Nobody changes it.
var nothing rare

// apart makes the rare of an entry its own, to be changed.
func (e *Entry) apart() *rare {
	r := *e.rare
	e.rare = &r
	return &r
}

type flags uint16

const (
	noCache flags = 1 << iota
	mustRevalidate
	heuristic
	untilFlushed
	own
	shareable
	partial
	isFragment
)

// entryOverhead is what an entry takes of the budget beside its bytes: the
// structures here and those of the index. TestMemory measures it. A key up to shortKey is part of it;
// what is longer is counted in units of keyUnit, with its canonical URL if that is another.
const (
	entryOverhead = int64(unsafe.Sizeof(Entry{})+unsafe.Sizeof(resource{})) + 128
	shortKey      = 56
	keyUnit       = 64
)

// Draft is what an entry is made of.
type Draft struct {
	Space    *Space
	Key      Key
	Verdict  *rules.Verdict
	Response *message.Response
	Request  []message.Field // of the request
	// Vary are the fields in which Vary says what distinguishes requests; nil: those of Response.
	Vary   []message.Field
	Server []byte // value of Server where the application has none
	Now    int64  // ms
	Unix   int64  // seconds since 1970
}

// NewEntry makes an entry without a body; see WithBody and WithBig. length is that of the body, as
// far as it is known: of a partial one, of the part.
func NewEntry(d *Draft, length int64) *Entry {
	v := d.Verdict
	e := &Entry{
		born: d.Now - v.Age*1000, stored: d.Now, status: uint16(d.Response.Status),
		lifetime: uint32(v.Lifetime), whileRevalidate: uint32(v.StaleWhileRevalidate), ifError: uint32(v.StaleIfError),
		date: d.Unix, rare: &nothing,
	}
	key := len(d.Key.Bytes)
	if !d.Key.Canonical {
		key *= 2
	}
	e.keyed = uint16(min((max(key-shortKey, 0)+keyUnit-1)/keyUnit, math.MaxUint16))
	e.setFlags(&v.Terms)
	if v.Partial {
		e.flags |= partial
		r := e.apart()
		r.first, r.total = v.First, v.Total
		e.status = 200
	}
	for i := range d.Response.Fields {
		f := &d.Response.Fields[i]
		if message.EqualFold(f.Name, rules.TagField) {
			e.addTags(f.Value)
		}
	}
	vary := d.Vary
	if vary == nil {
		vary = d.Response.Fields
	}
	if variant := rules.AppendVariant(nil, vary, d.Request); len(variant) > 0 {
		e.apart().variant = append(make([]byte, 0, len(variant)), variant...)
	}
	w := headWriter{e: e}
	reason := d.Response.Reason
	if v.Partial {
		reason = nil
	}
	w.status(int(e.status), reason)
	connection := listed(d.Response)
	w.fields(d.Response.Fields, func(name []byte) bool {
		return rules.Stored(name) && !rules.Names(v.Drop, name) && !rules.Names(connection, name)
	}, d, length)
	return e
}

// listed is the names of fields that Connection asks to leave out. The parser keeps that field only
// in Response.Listed.
func listed(r *message.Response) []byte { return r.Listed }

func (e *Entry) setFlags(t *rules.Terms) {
	set := func(f flags, on bool) {
		if on {
			e.flags |= f
		} else {
			e.flags &^= f
		}
	}
	set(noCache, t.NoCache)
	set(mustRevalidate, t.MustRevalidate)
	set(heuristic, t.Heuristic)
	set(untilFlushed, t.UntilFlushed)
	set(own, t.Own)
	set(shareable, t.Shareable)
}

// maxTags and maxTag bound what an application can make us index for one
// response.
const (
	maxTags = 64
	maxTag  = 256
)

// addTags reads a Cache-Tag: names separated by commas or white space.
func (e *Entry) addTags(list []byte) {
	for i := 0; i < len(list); {
		for i < len(list) && (list[i] == ',' || list[i] == ' ' || list[i] == '\t') {
			i++
		}
		from := i
		for i < len(list) && list[i] != ',' && list[i] != ' ' && list[i] != '\t' {
			i++
		}
		if i > from && i-from <= maxTag && len(e.tags) < maxTags {
			if e.rare == &nothing {
				e.apart()
			}
			e.rare.tags = append(e.rare.tags, string(list[from:i]))
		}
	}
}

// headWriter writes the head of an entry in its order.
type headWriter struct{ e *Entry }

func (w headWriter) status(status int, reason []byte) {
	b := make([]byte, 0, 512)
	b = append(b, "HTTP/1.1 "...)
	b = strconv.AppendInt(b, int64(status), 10)
	b = append(b, ' ')
	if len(reason) > 0 {
		b = append(b, reason...)
	} else {
		b = append(b, message.StatusText(status)...)
	}
	w.e.data = append(b, "\r\n"...)
	w.e.statusEnd = uint32(len(w.e.data))
}

const (
	placeValid = iota
	placeOther
	placeType
	placeLength
)

func (e *Entry) place(name []byte) int {
	switch {
	case rules.Validating(name):
		return placeValid
	case message.EqualFold(name, "content-type"):
		return placeType
	case message.EqualFold(name, "content-length"), e.Partial() && message.EqualFold(name, "content-range"):
		return placeLength // made anew
	}
	return placeOther
}

// fields writes the fields that keep says are kept.
func (w headWriter) fields(fields []message.Field, keep func(name []byte) bool, d *Draft, length int64) {
	e := w.e
	var hasDate, hasServer bool
	for at := placeValid; at <= placeType; at++ {
		tags, lines := 0, 0
		for i := range fields {
			f := &fields[i]
			if e.place(f.Name) != at || !keep(f.Name) {
				continue
			}
			if at == placeValid {
				switch len(f.Name) {
				case 4:
					switch {
					case message.EqualFold(f.Name, "date"):
						at, ok := rules.ParseDate(f.Value)
						if !ok || hasDate {
							continue // a new one is better than none that can be read
						}
						hasDate, e.date = true, at
					case message.EqualFold(f.Name, "etag"):
						tags++
						if tags == 1 && rules.ValidTag(f.Value) && len(f.Value) < 1<<16 {
							e.tagAt = uint32(len(e.data) + len(f.Name) + 2)
							e.tagLen = uint16(len(f.Value))
						} else {
							e.tagLen = 0
						}
					}
				case 6:
					hasServer = true
				case 13:
					if message.EqualFold(f.Name, "last-modified") {
						lines++
						if e.modified, _ = rules.ParseDate(f.Value); lines > 1 {
							e.modified = 0
						}
					}
				}
			}
			e.data = appendLine(e.data, f.Name, f.Value)
		}
		switch at {
		case placeValid:
			if !hasDate {
				e.data = appendDate(append(e.data, "Date: "...), d.Unix)
				e.data = append(e.data, "\r\n"...)
			}
			if !hasServer && len(d.Server) > 0 {
				e.data = appendLine(e.data, []byte("Server"), d.Server)
			}
			e.validEnd = uint32(len(e.data))
		case placeOther:
			e.otherEnd = uint32(len(e.data))
		case placeType:
			e.typeEnd = uint32(len(e.data))
		}
	}
	w.length(length)
}

// length ends the head with the length of the body; -1: it comes later.
func (w headWriter) length(n int64) {
	e := w.e
	e.data = e.data[:e.typeEnd]
	if n >= 0 && e.status != 204 {
		e.data = append(e.data, "Content-Length: "...)
		e.data = strconv.AppendInt(e.data, n, 10)
		e.data = append(e.data, "\r\n"...)
	}
	e.headEnd = uint32(len(e.data))
}

func appendLine(dst, name, value []byte) []byte {
	dst = append(append(dst, name...), ": "...)
	return append(append(dst, value...), "\r\n"...)
}

// WithBody gives the entry a body in one piece, which is copied.
func (e *Entry) WithBody(body []byte) {
	headWriter{e}.length(int64(len(body)))
	data := make([]byte, 0, len(e.data)+len(body))
	e.data = append(append(data, e.data...), body...)
}

// WithBig gives it a complete body in pieces. A short one is put together.
func (e *Entry) WithBig(b *Body) {
	headWriter{e}.length(b.size)
	if b.size > chunkSize {
		e.data = append(make([]byte, 0, len(e.data)), e.data...)
		e.big = b
		return
	}
	data := append(make([]byte, 0, int64(len(e.data))+b.size), e.data...)
	for _, c := range b.chunks {
		data = append(data, c...)
	}
	e.data = data
}

// Len is the length of the body.
func (e *Entry) Len() int64 {
	if e.big != nil {
		return e.big.size
	}
	return int64(len(e.data)) - int64(e.headEnd)
}

// Cost is what the entry takes of the budget.
func (e *Entry) Cost() int64 {
	n := entryOverhead + int64(e.keyed)*keyUnit + int64(cap(e.data)+cap(e.variant)) + e.codes.cost()
	if e.big != nil {
		n += e.big.allocated()
	}
	if e.rare != &nothing {
		n += int64(unsafe.Sizeof(nothing))
	}
	for _, t := range e.tags {
		n += int64(len(t)) + 128 // with its place in the index
	}
	if e.flags&isFragment != 0 {
		n += fragmentOverhead
	}
	return n
}

// Age is its age in seconds at now.
func (e *Entry) Age(now int64) int64 { return max(now-e.born, 0) / 1000 }

// Terms are on what terms it may be used.
func (e *Entry) Terms() rules.Terms {
	return rules.Terms{
		Lifetime: int64(e.lifetime), StaleWhileRevalidate: int64(e.whileRevalidate), StaleIfError: int64(e.ifError),
		NoCache: e.flags&noCache != 0, MustRevalidate: e.flags&mustRevalidate != 0, Heuristic: e.flags&heuristic != 0,
		UntilFlushed: e.flags&untilFlushed != 0, Own: e.flags&own != 0, Shareable: e.flags&shareable != 0,
	}
}

// Partial says whether only a part of the representation is there.
func (e *Entry) Partial() bool { return e.flags&partial != 0 }

// ETag is its entity-tag; nil: none.
func (e *Entry) ETag() []byte {
	if e.tagLen == 0 {
		return nil
	}
	return e.data[e.tagAt : e.tagAt+uint32(e.tagLen)]
}

// Modified is its Last-Modified, 0 if it has none.
func (e *Entry) Modified() int64 { return e.modified }

// Validators says whether an application can be asked if it is still right.
func (e *Entry) Validators() bool { return e.tagLen > 0 || e.modified != 0 }

// Fields appends the fields of its head to dst.
func (e *Entry) Fields(dst []message.Field) []message.Field {
	return parseLines(dst, e.data[e.statusEnd:e.headEnd])
}
