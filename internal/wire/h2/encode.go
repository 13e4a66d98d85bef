package h2

import (
	"bytes"
	"hash/maphash"
	"strconv"

	"golang.org/x/net/http2/hpack"

	"github.com/httpsys/httpsys/internal/wire/message"
)

// Responses of one application are alike: nearly all fields have been sent
// before. So a field that was seen twice on a loop becomes an encField, which all connections
// of the loop share: its coding is made once. A connection's dynamic table is a list of these,
// eight bytes an entry, and a field is found in it by its address. The last head of a connection is
// remembered as a whole; if the next one has the same fields, its block is copied.
//
// Fields that change all the time (Content-Length, Date, and what was not seen twice) are sent as
// literals and stay out of the table, where they would push out the others.

// encField is a field as the encoder knows it. It never changes.
type encField struct {
	hash        uint64
	name, value []byte // as the application spells them
	static      uint8  // index of the same field in the static table, or 0
	size        uint32 // RFC 7541 4.1
	indexed     []byte // literal with incremental indexing (RFC 7541 6.2.1)
	plain       []byte // literal without indexing (6.2.2)
}

// fieldCache has the encFields of a loop, each in the place that its hash
// says. seen has the hashes of fields that came once.
type fieldCache struct {
	fields [cachedFields]*encField
	seen   [cachedFields]uint32
}

const (
	cachedFields = 512
	cachedSize   = 512 // of name and value; longer ones are seldom the same twice
	memoFields   = 24
	memoBlock    = 256
)

var seed = maphash.MakeSeed()

// get finds the encField of a field, nil if it has none (yet).
func (fc *fieldCache) get(name, value []byte) *encField {
	if len(name)+len(value) > cachedSize {
		return nil
	}
	h := maphash.Bytes(seed, name)*31 ^ maphash.Bytes(seed, value)
	f := fc.fields[h%cachedFields]
	if f != nil && f.hash == h && bytes.Equal(f.name, name) && bytes.Equal(f.value, value) {
		return f
	}
	seen := &fc.seen[h%cachedFields]
	if *seen != uint32(h>>32) || isVolatile(name) {
		*seen = uint32(h >> 32)
		return nil
	}
	f = newEncField(name, value, h)
	fc.fields[h%cachedFields] = f
	return f
}

// isVolatile says whether a field of this name stays out of the cache: Date
// changes each second, and cookies are secrets that nobody else should be able to guess by the size
// of what is sent (RFC 7541 7.1.3).
func isVolatile(name []byte) bool {
	return message.EqualFold(name, "date") || message.EqualFold(name, "set-cookie")
}

func newEncField(name, value []byte, h uint64) *encField {
	n, v := string(bytes.ToLower(name)), string(value)
	f := &encField{
		hash: h, name: bytes.Clone(name), value: bytes.Clone(value), size: uint32(len(n) + len(v) + entryOverhead),
	}
	for i := range static {
		if string(static[i].name) == n && string(static[i].value) == v && len(v) > 0 {
			f.static = uint8(i + 1)
		}
	}
	index := uint64(staticNames[n])
	literal := func(pattern byte, bits uint) []byte {
		b := appendInt(nil, pattern, bits, index)
		if index == 0 {
			b = appendString(b, n)
		}
		return appendString(b, v)
	}
	f.indexed, f.plain = literal(0x40, 6), literal(0x00, 4)
	return f
}

// staticNames has the lowest index of each name in the static table.
var staticNames = func() map[string]uint8 {
	m := map[string]uint8{}
	for i := len(static) - 1; i >= 0; i-- {
		m[string(static[i].name)] = uint8(i + 1)
	}
	return m
}()

// Indexes of names in the static table.
const (
	nameStatus        = 8
	nameContentLength = 28
	nameDate          = 33
)

// appendInt appends an integer with a prefix of some bits (RFC 7541 5.1).
func appendInt(dst []byte, pattern byte, bits uint, n uint64) []byte {
	most := uint64(1)<<bits - 1
	if n < most {
		return append(dst, pattern|byte(n))
	}
	dst = append(dst, pattern|byte(most))
	for n -= most; n >= 0x80; n >>= 7 {
		dst = append(dst, 0x80|byte(n))
	}
	return append(dst, byte(n))
}

// appendString appends a string in the shorter of its forms (5.2).
func appendString(dst []byte, s string) []byte {
	if n := hpack.HuffmanEncodeLength(s); n < uint64(len(s)) {
		dst = appendInt(dst, 0x80, 7, n)
		return hpack.AppendHuffmanString(dst, s)
	}
	dst = appendInt(dst, 0x00, 7, uint64(len(s)))
	return append(dst, s...)
}

// encoder is the HPACK encoder of a connection.
type encoder struct {
	table  []*encField // oldest first
	size   uint32
	max    uint32 // of the table, as the peer's decoder knows it
	low    uint32 // lowest of the limits that the peer has set since
	next   uint32 // the last of them
	update bool   // the peer has to be told
	block  []byte // what memo was encoded as, if the table is still the same
	memo   []*encField
}

// limit takes the peer's SETTINGS_HEADER_TABLE_SIZE (RFC 7541 4.2). We use no
// more than the default.
func (e *encoder) limit(n uint32) {
	n = min(n, tableSize)
	if !e.update {
		e.low = n
	}
	e.low = min(e.low, n)
	e.next = n
	e.update = e.low != e.max || e.next != e.max
}

// begin opens a HEADERS frame, and a block with what the peer must know first.
func (e *encoder) begin(dst []byte, id uint32) []byte {
	dst = appendHeader(dst, 0, typeHeaders, flagEndHeaders, id)
	if e.update {
		for _, n := range [...]uint32{e.low, e.next} {
			if n != e.max {
				dst = appendInt(dst, 0x20, 5, uint64(n))
				e.max = n
				e.evict(0)
			}
		}
		e.update = false
	}
	return dst
}

// end closes the block that began at start, which is cut if it is too long
// for one frame (RFC 9113 4.3).
func (e *encoder) end(dst []byte, start int, last bool) []byte {
	if last {
		dst[start+4] |= flagEndStream
	}
	n := len(dst) - start - frameHeader
	if n <= frameSize {
		putLength(dst[start:], n)
		return dst
	}
	h := parseHeader(dst[start:])
	block := bytes.Clone(dst[start+frameHeader:])
	putLength(dst[start:], frameSize)
	dst[start+4] &^= flagEndHeaders
	dst = dst[:start+frameHeader+frameSize]
	for block = block[frameSize:]; len(block) > 0; {
		n := min(len(block), frameSize)
		flags := uint8(0)
		if n == len(block) {
			flags = flagEndHeaders
		}
		dst = appendHeader(dst, n, typeContinuation, flags, h.stream)
		dst = append(dst, block[:n]...)
		block = block[n:]
	}
	return dst
}

// appendResponse appends the head of a final response. length is added if it
// is not negative; withLength says whether that of the application may be there.
func (e *encoder) appendResponse(dst []byte, s *Shared, id uint32, r *message.Response, length int64,
	withLength, last bool) []byte {
	start := len(dst)
	dst = e.begin(dst, id)
	dst = appendStatus(dst, r.Status)
	server := s.server
	if r.HasServer || r.Text {
		server = nil
	}
	dst = e.appendFields(dst, s, r.Fields, r.LengthAt, server)
	if r.LengthAt >= 0 {
		length = -1
		if withLength {
			length = r.ContentLength
		}
	}
	if length >= 0 {
		dst = appendInt(dst, 0x00, 4, nameContentLength)
		at := len(dst)
		dst = append(dst, 0)
		dst = strconv.AppendInt(dst, length, 10)
		dst[at] = byte(len(dst) - at - 1)
	}
	if !r.HasDate && !r.Text {
		dst = append(dst, s.date...)
	}
	return e.end(dst, start, last)
}

// appendInformational appends a 1xx response.
func (e *encoder) appendInformational(dst []byte, s *Shared, id uint32, r *message.Response) []byte {
	start := len(dst)
	dst = e.begin(dst, id)
	dst = appendStatus(dst, r.Status)
	dst = e.appendEach(dst, s, r.Fields, r.LengthAt)
	return e.end(dst, start, false)
}

// appendTrailers appends a trailer section.
func (e *encoder) appendTrailers(dst []byte, s *Shared, id uint32, fields []message.Field) []byte {
	start := len(dst)
	dst = e.begin(dst, id)
	dst = e.appendEach(dst, s, fields, -1)
	return e.end(dst, start, true)
}

func appendStatus(dst []byte, status int) []byte {
	switch status {
	case 200:
		return append(dst, 0x88)
	case 204:
		return append(dst, 0x89)
	case 206:
		return append(dst, 0x8a)
	case 304:
		return append(dst, 0x8b)
	case 400:
		return append(dst, 0x8c)
	case 404:
		return append(dst, 0x8d)
	case 500:
		return append(dst, 0x8e)
	}
	dst = append(dst, nameStatus, 3)
	return strconv.AppendInt(dst, int64(status), 10)
}

// appendFields encodes the fields but for the one at index skip, and server
// behind them. If they are the same as last time, so is the block.
func (e *encoder) appendFields(dst []byte, s *Shared, fields []message.Field, skip int, server *encField) []byte {
	if e.isMemo(fields, skip, server) {
		return append(dst, e.block...)
	}
	start := len(dst)
	memo := e.memo[:0]
	same := true // every field is in one of the tables and was before
	for i := range fields {
		if i == skip {
			continue
		}
		f := s.fields.get(fields[i].Name, fields[i].Value)
		if f == nil {
			dst, same = appendLiteral(dst, &fields[i]), false
			continue
		}
		known := false
		dst, known = e.append(dst, f)
		same = same && known
		if len(memo) < memoFields {
			memo = append(memo, f)
		} else {
			same = false
		}
	}
	if server != nil {
		known := false
		dst, known = e.append(dst, server)
		same = same && known && len(memo) < memoFields
		if same {
			memo = append(memo, server)
		}
	}
	e.memo, e.block = memo[:0], e.block[:0]
	if same && len(memo) > 0 && len(dst)-start <= memoBlock {
		e.memo = memo
		e.block = append(e.block, dst[start:]...)
	}
	return dst
}

func (e *encoder) isMemo(fields []message.Field, skip int, server *encField) bool {
	memo := e.memo
	n := len(fields)
	if skip >= 0 {
		n--
	}
	if server != nil {
		n++
	}
	if len(memo) == 0 || n != len(memo) {
		return false
	}
	for i := range fields {
		if i == skip {
			continue
		}
		f := memo[0]
		if !bytes.Equal(f.name, fields[i].Name) || !bytes.Equal(f.value, fields[i].Value) {
			return false
		}
		memo = memo[1:]
	}
	return server == nil || memo[0] == server
}

func (e *encoder) appendEach(dst []byte, s *Shared, fields []message.Field, skip int) []byte {
	for i := range fields {
		if i == skip {
			continue
		}
		if f := s.fields.get(fields[i].Name, fields[i].Value); f != nil {
			dst, _ = e.append(dst, f)
		} else {
			dst = appendLiteral(dst, &fields[i])
		}
	}
	return dst
}

// append encodes a field by its index, and adds it to the table if it is not
// there; known says that it was.
func (e *encoder) append(dst []byte, f *encField) (_ []byte, known bool) {
	if f.static > 0 {
		return append(dst, 0x80|f.static), true
	}
	for i := len(e.table) - 1; i >= 0; i-- {
		if e.table[i] == f {
			return appendInt(dst, 0x80, 7, uint64(len(static)+len(e.table)-i)), true
		}
	}
	if f.size > e.max {
		return append(dst, f.plain...), false
	}
	e.evict(f.size)
	e.table = append(e.table, f)
	e.size += f.size
	e.memo = e.memo[:0] // the indexes have changed
	return append(dst, f.indexed...), false
}

// evict makes room for size bytes (RFC 7541 4.3).
func (e *encoder) evict(size uint32) {
	n := 0
	for e.size+size > e.max {
		e.size -= e.table[n].size
		n++
	}
	if n > 0 {
		e.memo = e.memo[:0]
		clear(e.table[copy(e.table, e.table[n:]):])
		e.table = e.table[:len(e.table)-n]
	}
}

// appendLiteral encodes a field that is not worth more than its bytes. A
// cookie is marked so that nobody on the way adds it to a table either.
func appendLiteral(dst []byte, f *message.Field) []byte {
	pattern := byte(0x00)
	if message.EqualFold(f.Name, "set-cookie") {
		pattern = 0x10
	}
	var lower [64]byte
	if len(f.Name) <= len(lower) {
		if index := staticNames[string(appendLower(lower[:0], f.Name))]; index > 0 {
			dst = appendInt(dst, pattern, 4, uint64(index))
			dst = appendInt(dst, 0x00, 7, uint64(len(f.Value)))
			return append(dst, f.Value...)
		}
	}
	dst = append(dst, pattern)
	dst = appendInt(dst, 0x00, 7, uint64(len(f.Name)))
	dst = appendLower(dst, f.Name)
	dst = appendInt(dst, 0x00, 7, uint64(len(f.Value)))
	return append(dst, f.Value...)
}

// appendLower appends a token in lower case (RFC 9113 8.2.1).
func appendLower(dst, name []byte) []byte {
	for _, c := range name {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		dst = append(dst, c)
	}
	return dst
}
