package tlsio

import (
	"bytes"
	"crypto/tls"
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

var lent = sync.Pool{New: func() any { return new([lentSize]byte) }}

// lend gives c a large buffer for the coming reads; reclaim takes it back.
func lend(c *tls.Conn) *[lentSize]byte {
	if !fields.known || input(c).Len() > 0 {
		return nil
	}
	b := lent.Get().(*[lentSize]byte)
	raw := rawInput(c)
	*raw = *bytes.NewBuffer(append(b[:0], raw.Bytes()...))
	return b
}

// reclaim moves what is left in the buffer b of c to memory of its size.
func reclaim(c *tls.Conn, b *[lentSize]byte) {
	if b == nil {
		return
	}
	if in := input(c); in.Len() > 0 {
		rest := make([]byte, in.Len())
		in.Read(rest)
		in.Reset(rest)
	} else {
		in.Reset(nil)
	}
	shrink(rawInput(c))
	lent.Put(b)
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
