package tlsio

import (
	"bytes"
	"crypto/tls"
	"io"
	"reflect"
	"sync"
	"unsafe"
)

// A tls.Conn keeps its two input buffers for life, as large as the largest
// record and the largest handshake message that it ever saw: 3 to 4 KiB after
// any handshake, 35 KiB after an upload. That is more than half of what an idle
// connection costs, so here they are lent instead: a large buffer for the time
// of one Read, which also takes several records from the socket at once, and
// between two Reads just the bytes of an incomplete record.
//
// crypto/tls has no call for that. The two fields are found by name and type,
// and are used only if they are what they are known to be; if another version
// of crypto/tls differs, connections work as before and cost more memory (and
// TestBuffers fails). docs/decisions/tls-buffers.md has the figures.

// lentSize is the size of a buffer that is lent: the size of the loop's own.
const lentSize = 64 << 10

// fields are where the buffers are in a tls.Conn.
var fields = findFields(reflect.TypeFor[tls.Conn]())

type offsets struct {
	known    bool
	rawInput uintptr // bytes.Buffer: what was read and not decrypted
	hand     uintptr // bytes.Buffer: an incomplete handshake message
	input    uintptr // bytes.Reader: what was decrypted and not read, part of rawInput
}

func findFields(conn reflect.Type) (o offsets) {
	o.known = true
	find := func(name string, typ reflect.Type) uintptr {
		f, ok := conn.FieldByName(name)
		if !ok || f.Type != typ {
			o.known = false
		}
		return f.Offset
	}
	o.rawInput = find("rawInput", reflect.TypeFor[bytes.Buffer]())
	o.hand = find("hand", reflect.TypeFor[bytes.Buffer]())
	o.input = find("input", reflect.TypeFor[bytes.Reader]())
	return o
}

func rawInput(c *tls.Conn) *bytes.Buffer {
	return (*bytes.Buffer)(unsafe.Add(unsafe.Pointer(c), fields.rawInput))
}

func hand(c *tls.Conn) *bytes.Buffer {
	return (*bytes.Buffer)(unsafe.Add(unsafe.Pointer(c), fields.hand))
}

func input(c *tls.Conn) *bytes.Reader {
	return (*bytes.Reader)(unsafe.Add(unsafe.Pointer(c), fields.input))
}

// lentBuffer is a buffer that c has at the moment.
type lentBuffer struct {
	c     *tls.Conn
	raw   *bytes.Buffer
	bytes [lentSize]byte
}

var lentBuffers = sync.Pool{New: func() any { return new(lentBuffer) }}

// lend gives c a large buffer for the coming reads; reclaim takes it back. It
// is nil if that is not possible.
func lend(c *tls.Conn) *lentBuffer {
	if !fields.known || input(c).Len() > 0 {
		return nil
	}
	l := lentBuffers.Get().(*lentBuffer)
	l.c, l.raw = c, rawInput(c)
	l.set(copy(l.bytes[:], l.raw.Bytes()))
	return l
}

func (l *lentBuffer) set(n int) { *l.raw = *bytes.NewBuffer(l.bytes[:n]) }

// fill reads from the socket before crypto/tls does: it asks for one record
// at a time and allocates for that.
func (l *lentBuffer) fill(t *transport) error {
	have := copy(l.bytes[:], l.raw.Bytes())
	n, err := t.Read(l.bytes[have:])
	l.set(have + n)
	if err == io.EOF {
		return nil // what it means is for crypto/tls to say; t remembers
	}
	return err
}

// complete tells whether crypto/tls has something to say about the next
// record without reading: it is there, or its header is wrong.
func (l *lentBuffer) complete() bool {
	b := l.raw.Bytes()
	if len(b) < recordHeader {
		return false
	}
	n := int(b[3])<<8 | int(b[4])
	return len(b) >= recordHeader+n || b[1] != 3 || b[2] != 3 || n > maxCiphertext
}

// maxCiphertext is what a record of TLS 1.2 can have at most (RFC 5246
// 6.2.3).
const maxCiphertext = 16<<10 + 2<<10

// reclaim moves what is left to memory of its size.
func (l *lentBuffer) reclaim() {
	if l == nil {
		return
	}
	if in := input(l.c); in.Len() > 0 {
		rest := make([]byte, in.Len())
		in.Read(rest)
		in.Reset(rest)
	} else {
		in.Reset(nil)
	}
	shrink(l.raw)
	l.c, l.raw = nil, nil
	lentBuffers.Put(l)
}

// settle drops what a handshake has left behind.
func settle(c *tls.Conn) {
	if fields.known && input(c).Len() == 0 {
		shrink(rawInput(c))
		shrink(hand(c))
	}
}

func shrink(b *bytes.Buffer) {
	if b.Len() == 0 {
		*b = bytes.Buffer{}
		return
	}
	*b = *bytes.NewBuffer(bytes.Clone(b.Bytes()))
}
