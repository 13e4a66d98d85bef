package daemon_test

import (
	"testing"
)

// What is stored answers clients of both protocols, whoever asked first; a
// :scheme that is not that of the connection is another origin.
func TestHTTP2Cache(t *testing.T) {
	d, app, reg, c := oneHTTP2(t, 5)
	c.get(1, "/a")
	app.Request().Respond(200, fields("Cache-Control: max-age=60"), "stored")
	c.want("1 status 200", `1 "stored" END`)
	c.get(3, "/a") // nobody is asked
	c.want("3 status 200", `3 "stored" END`)
	one := d.Dial(reg)
	one.Send("GET /a HTTP/1.1\r\nHost: a\r\n\r\n")
	one.WantStatus(200)
	c.request(5, true, ":method", "GET", ":scheme", "https", ":authority", "a", ":path", "/a")
	app.Request().Respond(200, nil, "another")
	c.want("5 status 200", `5 "another" END`)

	other := d.Dial(reg)
	other.Send("GET /b HTTP/1.1\r\nHost: a\r\n\r\n")
	app.Request().Respond(200, fields("Cache-Control: max-age=60"), "from HTTP/1.1")
	other.WantStatus(200)
	c.get(7, "/b")
	c.want("7 status 200", `7 "from HTTP/1.1" END`)
	c.request(9, true, ":method", "HEAD", ":scheme", "http", ":authority", "a", ":path", "/b")
	c.want("9 status 200 END")
}
