package conn

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"

	"github.com/httpsys/httpsys/internal/wire/h2"
	"github.com/httpsys/httpsys/internal/wire/message"
)

// Tunnels of HTTP/2. CONNECT is one once the application answers 2xx.
//
// An extended CONNECT (RFC 8441) is how a browser opens a WebSocket. Applications
// know that in the way of HTTP/1.1, so that is how they get it and answer it
// (docs/channel.md section 9): a GET with Connection, Upgrade and, for a WebSocket,
// Sec-WebSocket-Key; 101 accepts it, which is 200 on the wire.

var (
	methodGet    = []byte("GET")
	nameConn     = []byte("Connection")
	nameUpgrade  = []byte("Upgrade")
	nameKey      = []byte("Sec-WebSocket-Key")
	valueUpgrade = []byte("Upgrade")
)

// maxByHand bounds a head that an application writes by hand.
const maxByHand = 64 << 10

// asUpgrade is an extended CONNECT as the application gets it. The result is
// valid until the next call.
func (s *Server) asUpgrade(r *h2.Request) *message.Request {
	s.upgrade = r.Request
	u := &s.upgrade
	u.Method, u.Upgrade = methodGet, true
	u.Fields = append(append(s.fields[:0], r.Fields...), message.Field{Name: nameConn, Value: valueUpgrade},
		message.Field{Name: nameUpgrade, Value: r.Protocol})
	if message.EqualFold(r.Protocol, "websocket") && !hasField(r.Fields, "sec-websocket-key") {
		// The key has no meaning in HTTP/2 (RFC 8441 5), but libraries ask for one.
		var key [16]byte // RFC 6455 4.1
		rand.Read(key[:])
		u.Fields = append(u.Fields, message.Field{Name: nameKey, Value: base64.StdEncoding.AppendEncode(nil, key[:])})
	}
	s.fields = u.Fields[:0]
	return u
}

func hasField(fields []message.Field, name string) bool {
	for i := range fields {
		if message.EqualFold(fields[i].Name, name) {
			return true
		}
	}
	return false
}

// accepted is a 101 as the client gets it: what belongs to HTTP/1.1 is left out.
func (s *Server) accepted(r *message.Response) *message.Response {
	a := *r
	a.Status, a.ContentLength, a.LengthAt = 200, -1, -1
	a.Fields = s.fields[:0]
	for i, f := range r.Fields {
		if i == r.LengthAt || message.EqualFold(f.Name, "connection") || message.EqualFold(f.Name, "upgrade") ||
			message.EqualFold(f.Name, "sec-websocket-accept") {
			continue
		}
		a.Fields = append(a.Fields, f)
	}
	s.fields = a.Fields[:0]
	return &a
}

// decline answers an extended CONNECT that the application took for an
// ordinary request. Its 2xx would tell the client that the tunnel is open.
func (st *stream) decline() {
	if x := st.x; x != nil {
		st.x = nil
		x.ClientGone()
	}
	st.h.refuse(st, 501, "Upgrade", "The program does not speak the protocol that was asked for.", false)
}

// CanOpaque implements exchange.Client. An application may write the head of
// its answer to an extended CONNECT by hand (status 0), as it would on a socket.
func (st *stream) CanOpaque(status int) bool {
	if st.extended {
		return status == 101 || status == 0
	}
	return status/100 == 2 && st.connect
}

// Opaque implements exchange.Client.
func (st *stream) Opaque(r *message.Response) {
	st.opaque, st.told = true, false
	if r == nil {
		st.byHand = true
	} else {
		st.open(r)
	}
	st.resume() // what the client did not wait with
}

// open tells the client that the tunnel is there.
func (st *stream) open(r *message.Response) {
	st.h.lend()
	if r.Status == 101 {
		r = st.h.s.accepted(r)
	}
	date := st.h.s.Loop.Date()
	st.h.s.h2shared.SetDate(date[len("Date: ") : len(date)-2])
	st.h.core.Opaque(st.s, r)
	st.h.sendSoon()
}

var endOfHead = []byte("\r\n\r\n")

// written takes what the application writes by hand, until its head is
// complete: 101, or another final response, whose content ends when the
// application closes.
func (st *stream) written(b []byte, end bool) {
	old := len(st.text)
	st.text = append(st.text, b...)
	at := bytes.Index(st.text[max(old-3, 0):], endOfHead)
	if at < 0 {
		if end || len(st.text) > maxByHand {
			st.garbled()
			return
		}
		st.sent(len(b))
		return
	}
	at += max(old-3, 0) + len(endOfHead)
	var r message.Response
	if err := r.ParseText(0, st.text[:at]); err != nil {
		st.garbled()
		return
	}
	rest := st.text[at:]
	st.text = nil
	st.sent(len(b) - len(rest))
	switch {
	case r.Informational():
		st.Informational(&r)
		st.written(rest, end)
		return
	case r.Status == 101:
		st.byHand = false
		st.open(&r)
	case r.Status/100 == 2:
		st.byHand = false
		st.decline()
		return
	default:
		st.byHand, st.opaque = false, false
		st.h.respond(st, &r, nil, false)
	}
	if st.s != nil && (len(rest) > 0 || end) {
		st.deliver(rest, end)
	}
}

// garbled: what was written by hand is no head of a response.
func (st *stream) garbled() {
	if x := st.x; x != nil {
		st.x = nil
		x.ClientGone()
	}
	st.h.refuse(st, 502, "BadResponse", "The program's answer is not HTTP.", false)
}

// Close implements exchange.Client.
func (st *stream) Close() {
	st.x = nil
	switch {
	case st.s == nil:
		return
	case st.byHand:
		st.garbled()
		return
	case !st.opaque: // an answer by hand ends with its connection
		st.deliver(nil, true)
		return
	}
	st.finish = true
	if len(st.out.segments) == 0 {
		st.h.lend()
		st.h.core.Finish(st.s)
		st.over()
	} else {
		st.h.core.Wait(st.s)
	}
	st.h.sendSoon()
}
