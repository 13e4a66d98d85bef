package daemon_test

import (
	"encoding/binary"
	"testing"

	"github.com/httpsys/httpsys/internal/testkit"
)

// Neither does an answer from the cache over HTTP/2: a whole one, 304, and the head alone.
func TestHTTP2HitsAllocateNothing(t *testing.T) {
	d := testkit.Start(t, testkit.Options{})
	app := d.App(testkit.AppOptions{Credit: 1})
	reg := app.Register("http://+:0/")
	first := d.Dial(reg)
	first.Send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	app.Request().Respond(200, []string{"Cache-Control: max-age=1000", `ETag: "v"`}, "hello")
	first.WantStatus(200)
	first.Close()
	for _, tc := range []struct {
		name, method string
		more         []string
		body         bool
	}{
		{"GET", "GET", nil, true},
		{"304", "GET", []string{"if-none-match", `"v"`}, false},
		{"HEAD", "HEAD", nil, false},
	} {
		d.Run(tc.name, func(t *testing.T) {
			c := raw(t, d.Dial(reg).RawConn())
			a := newAttacker()
			a.enc.SetMaxDynamicTableSize(0) // each is the same to the byte
			fields := append([]string{":method", tc.method, ":scheme", "http", ":authority", "a", ":path", "/"}, tc.more...)
			block := a.block(fields...)
			request := append([]byte{byte(len(block) >> 16), byte(len(block) >> 8), byte(len(block)), 1, 5, 0, 0, 0, 0}, block...)
			c.write([]byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x04\x01\x00\x00\x00\x00"))
			buf := make([]byte, 64<<10)
			id, n := uint32(1), 0
			round := func() {
				binary.BigEndian.PutUint32(request[5:], id)
				id += 2
				c.write(request)
				for ended := false; !ended; {
					n += c.readSome(buf[n:])
					ended = endsStream(buf[:n], id-2)
				}
				if tc.body && string(buf[n-5:n]) != "hello" {
					t.Fatalf("%q", buf[:n])
				}
				n = 0
			}
			wantNoAllocations(t, round)
		})
	}
}

// endsStream says whether the last of some frames ends a stream.
func endsStream(b []byte, id uint32) bool {
	for len(b) >= 9 {
		n := 9 + int(b[0])<<16 + int(b[1])<<8 + int(b[2])
		if len(b) < n {
			return false
		}
		if b[3] <= 1 && b[4]&1 != 0 && binary.BigEndian.Uint32(b[5:]) == id {
			return true
		}
		b = b[n:]
	}
	return false
}
