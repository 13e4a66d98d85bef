package cache

import (
	"hash/maphash"
	"strconv"

	"github.com/httpsys/httpsys/internal/cache/rules"
	"github.com/httpsys/httpsys/internal/wire/message"
)

// Answer is what one request gets of an entry: a head, and what of the body
// goes with it.
type Answer struct {
	Status int
	// Body is the body in one piece, unless Big is set: then it is bytes From to To of that.
	Body     []byte
	Big      *Body
	From, To int64
	// Length is that of the body, also where there is NoBody: for HEAD.
	Length int64
	NoBody bool

	entry *Entry
	age   int64
	ageAt int    // where AppendHead has put it
	note  string // for Cache-Status
	extra []byte // lines in place of Content-Type or Content-Length
	form  form
	weak  bool // of a 304: the client has a compressed form, whose entity-tag is weak
	rs    []rules.Range
	multi []byte
}

type form uint8

const (
	whole form = iota
	notModified
	part
	parts
	unsatisfiable
)

// maxMultipart is how long a response with several ranges may be; beyond it the
// whole is sent, without making a copy of it.
const maxMultipart = 1 << 20

// boundary stands between the parts of such a response. It is another in every
// process, so that nobody can have put it into a body.
var (
	boundary  = strconv.FormatUint(maphash.String(seed, "one")|1<<63, 16) + strconv.FormatUint(maphash.String(seed, "two")|1<<63, 16)
	delimiter = "\r\n--" + boundary + "\r\n"
	closing   = "\r\n--" + boundary + "--\r\n"
	multiType = "Content-Type: multipart/byteranges; boundary=" + boundary + "\r\nContent-Length: "
)

// Notes for Cache-Status (RFC 9211).
const (
	noteHit        = "; hit"
	noteStale      = "; hit; detail=stale"
	noteRevalidate = "; fwd=stale; fwd-status=304; stored"
	noteCollapsed  = "; fwd=uri-miss; collapsed; stored"
)

// Answer fills a with what a request gets of e at now, as far as e has it:
// false if it is partial and lacks something that the request asks for.
func (e *Entry) Answer(a *Answer, q *rules.Request, now int64) bool {
	*a = Answer{entry: e, Status: int(e.status), age: e.Age(now), note: noteHit, extra: a.extra[:0], rs: a.rs[:0], multi: a.multi[:0]}
	size := e.Len()
	// 1. A condition about what the client has (RFC 9110 13.2.2).
	if q.Conditional() && (e.status == 200 || e.status == 206) {
		modified := e.modified
		if modified == 0 {
			modified = e.date
		}
		if rules.NotModified(q, e.ETag(), modified) {
			a.form, a.Status, a.NoBody = notModified, 304, true
			a.weak = e.codes != nil && rules.NamedWeak(q, e.ETag())
			return true
		}
	}
	// 2. Ranges: of GET only, and of a 200 (RFC 9110 14.2).
	if q.Range != nil && !q.Head && e.status == 200 &&
		rules.IfRangeHolds(q.IfRange, e.ETag(), e.modified, e.date) {
		total := size
		if e.Partial() {
			total = e.total
		}
		if rs, ok := rules.Ranges(q.Range, total, a.rs); ok {
			a.rs = rs
			if done, ok := a.ranges(total); done {
				return ok
			}
		}
	}
	// 3. The whole.
	if e.Partial() {
		return false
	}
	a.Length = size
	a.NoBody = q.Head || e.status == 204
	if e.big != nil {
		a.Big, a.From, a.To = e.big, 0, size
	} else {
		a.Body = e.data[e.headEnd:]
	}
	return true
}

// Coming fills a with the whole of a response whose body is still coming into b, and will have length bytes.
func (e *Entry) Coming(a *Answer, b *Body, length, now int64) {
	*a = Answer{entry: e, Status: int(e.status), age: e.Age(now), note: noteCollapsed, extra: a.extra[:0], rs: a.rs[:0], multi: a.multi[:0]}
	a.Big, a.To, a.Length = b, length, length
}

// Selects says whether the entry is the variant for a request.
func (e *Entry) Selects(q *rules.Request, scratch *[]byte) bool {
	if e.variant == nil {
		return true
	}
	var ok bool
	ok, *scratch = rules.Selects(e.variant, q.Fields, *scratch)
	return ok
}

// ranges makes a 206 or a 416. done is false where the whole is sent after
// all.
func (a *Answer) ranges(total int64) (done, ok bool) {
	e := a.entry
	switch {
	case len(a.rs) == 0:
		a.form, a.Status = unsatisfiable, 416
		a.extra = append(a.extra, "Content-Range: bytes */"...)
		a.extra = strconv.AppendInt(a.extra, total, 10)
		a.extra = append(a.extra, "\r\nContent-Length: 0\r\n"...)
		return true, true
	case len(a.rs) == 1:
		r := a.rs[0]
		from, ok := e.offset(r)
		if !ok {
			return true, false
		}
		a.form, a.Status, a.Length = part, 206, r.Len()
		a.extra = appendContentRange(a.extra, r, total)
		a.extra = append(a.extra, "Content-Length: "...)
		a.extra = strconv.AppendInt(a.extra, r.Len(), 10)
		a.extra = append(a.extra, "\r\n"...)
		if e.big != nil {
			a.Big, a.From, a.To = e.big, from, from+r.Len()
		} else {
			a.Body = e.data[int64(e.headEnd)+from:][:r.Len()]
		}
		return true, true
	}
	var sum int64
	for _, r := range a.rs {
		if _, ok := e.offset(r); !ok {
			return true, false
		}
		sum += r.Len()
	}
	if sum > maxMultipart {
		return false, false
	}
	a.multipart(total)
	return true, true
}

// offset is where a range begins in the body that is there.
func (e *Entry) offset(r rules.Range) (int64, bool) {
	first := int64(0)
	if e.Partial() {
		first = e.first
	}
	return r.First - first, r.First >= first && r.Last < first+e.Len()
}

// multipart makes a body of several parts (RFC 9110 14.6).
func (a *Answer) multipart(total int64) {
	e := a.entry
	b := a.multi
	kind := e.data[e.otherEnd:e.typeEnd]
	for _, r := range a.rs {
		b = append(b, delimiter...)
		b = append(b, kind...)
		b = appendContentRange(b, r, total)
		b = append(b, "\r\n"...)
		from, _ := e.offset(r)
		for left := r.Len(); left > 0; {
			p := e.bytesAt(from, left)
			b = append(b, p...)
			from += int64(len(p))
			left -= int64(len(p))
		}
	}
	b = append(b, closing...)
	a.multi = b
	a.form, a.Status, a.Body, a.Length = parts, 206, b, int64(len(b))
	a.extra = append(a.extra, multiType...)
	a.extra = strconv.AppendInt(a.extra, a.Length, 10)
	a.extra = append(a.extra, "\r\n"...)
}

func (e *Entry) bytesAt(offset, n int64) []byte {
	if e.big != nil {
		return e.big.At(offset, n)
	}
	return e.data[int64(e.headEnd)+offset:][:n]
}

func appendContentRange(b []byte, r rules.Range, total int64) []byte {
	b = append(b, "Content-Range: bytes "...)
	b = strconv.AppendInt(b, r.First, 10)
	b = append(b, '-')
	b = strconv.AppendInt(b, r.Last, 10)
	b = append(b, '/')
	b = strconv.AppendInt(b, total, 10)
	return append(b, "\r\n"...)
}

// Stale, Revalidated and Collapsed say in Cache-Status how the answer came
// about; without one of them it is a plain hit.
func (a *Answer) Stale()       { a.note = noteStale }
func (a *Answer) Revalidated() { a.note = noteRevalidate }
func (a *Answer) Collapsed()   { a.note = noteCollapsed }

// AppendHead appends the head as HTTP/1.1 text: all but what concerns the
// connection, and the empty line.
func (a *Answer) AppendHead(dst []byte) []byte {
	e, from := a.entry, len(dst)
	switch a.form {
	case whole:
		dst = append(dst, e.data[:e.headEnd]...)
	case notModified:
		dst = append(dst, "HTTP/1.1 304 Not Modified\r\n"...)
		if a.weak {
			dst = append(append(dst, e.data[e.statusEnd:e.tagAt]...), "W/"...)
			dst = append(dst, e.data[e.tagAt:e.validEnd]...)
			break
		}
		dst = append(dst, e.data[e.statusEnd:e.validEnd]...)
	case part:
		dst = append(dst, "HTTP/1.1 206 Partial Content\r\n"...)
		dst = append(dst, e.data[e.statusEnd:e.typeEnd]...)
	case parts:
		dst = append(dst, "HTTP/1.1 206 Partial Content\r\n"...)
		dst = append(dst, e.data[e.statusEnd:e.otherEnd]...)
	case unsatisfiable:
		dst = append(dst, "HTTP/1.1 416 Range Not Satisfiable\r\n"...)
		dst = append(dst, e.data[e.statusEnd:e.validEnd]...)
	}
	dst = append(dst, a.extra...)
	dst = append(dst, "Age: "...)
	a.ageAt = len(dst) - from
	dst = strconv.AppendInt(dst, a.age, 10)
	dst = append(dst, "\r\nCache-Status: "+StatusName...)
	dst = append(dst, a.note...)
	return append(dst, "\r\n"...)
}

// StatusName is how this cache calls itself in Cache-Status.
const StatusName = "httpsys"

// Response fills r with the head, for protocols that do not speak text. It uses scratch, whose
// array it returns grown, for bytes that r points to.
func (a *Answer) Response(r *message.Response, scratch []byte) []byte {
	b := a.AppendHead(scratch[:0])
	*r = message.Response{Status: a.Status, Fields: r.Fields[:0], ContentLength: -1, LengthAt: -1, HasDate: true, HasServer: true}
	i := 0
	for b[i] != '\n' {
		i++
	}
	r.Fields = parseLines(r.Fields, b[i+1:])
	for i := range r.Fields {
		if f := &r.Fields[i]; len(f.Name) == len("content-length") && message.EqualFold(f.Name, "content-length") {
			r.ContentLength, _ = message.ParseLength(f.Value)
			r.LengthAt = i
		}
	}
	return b
}
