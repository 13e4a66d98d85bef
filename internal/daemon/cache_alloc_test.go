package daemon_test

import (
	"testing"

	"github.com/httpsys/httpsys/internal/testkit"
)

// An answer from the cache allocates nothing, whatever is asked of it.
func TestHitsAllocateNothing(t *testing.T) {
	d := testkit.Start(t, testkit.Options{})
	app := d.App(testkit.AppOptions{Credit: 1})
	reg := app.Register("http://+:0/")
	client := d.Dial(reg)
	appRaw, c := raw(t, app.Loop().RawConn()), raw(t, client.RawConn())
	buf := make([]byte, 64<<10)
	c.write([]byte("GET /a?b HTTP/1.1\r\nHost: localhost\r\nAccept-Language: en\r\n\r\n"))
	appRaw.readFrame(buf)
	appRaw.write(testkit.Response(1, END|CREDIT, 200, fields("Content-Type: text/plain", "Cache-Control: max-age=1000", "ETag: \"v\"",
		"Vary: Accept-Language"), "hello"))
	c.readSome(buf)
	for _, tc := range []struct{ name, fields string }{
		{"hit", ""},
		{"not modified", "If-None-Match: \"w\", \"v\"\r\n"},
		{"not modified since", "If-Modified-Since: Fri, 31 Dec 2038 23:59:59 GMT\r\n"},
		{"range", "Range: bytes=1-2\r\n"},
		{"ranges", "Range: bytes=0-0,-1\r\n"},
		{"no such range", "Range: bytes=10-\r\n"},
		{"directives", "Cache-Control: max-age=500, max-stale=\"5\", min-fresh=1\r\n"},
	} {
		for _, method := range []string{"GET", "HEAD"} {
			d.Run(tc.name+" "+method, func(t *testing.T) {
				send := []byte(method + " /a?b HTTP/1.1\r\nHost: localhost\r\nAccept-Language: en\r\n" + tc.fields + "\r\n")
				wantNoAllocations(t, func() {
					c.write(send)
					c.readSome(buf)
				})
			})
		}
	}
}
