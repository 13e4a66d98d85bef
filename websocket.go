package httpsys

import (
	"context"

	"github.com/coder/websocket"
)

// IsWebSocket reports whether the request asks for a WebSocket, over HTTP/1.1 or
// HTTP/2 (RFC 6455, RFC 8441): then AcceptWebSocket can accept it.
func (in *Incoming) IsWebSocket() bool {
	h := in.Request.Header
	return in.Request.Method == "GET" && listHas(h["Connection"], "upgrade") && listHas(h["Upgrade"], "websocket")
}

// AcceptWebSocket accepts a request for a WebSocket. It chooses the first of
// subprotocols that the client offers; websocket.Conn.Subprotocol says which,
// and is empty if there is none in common. The connection is the caller's from
// here on, to be closed by its own Close or CloseNow; it outlives Close of the
// Incoming, which has nothing left to do but still is to be called.
//
// A page of another host than the one that the request is for is refused, as
// its author is not who runs this program: the browser tells in the field Origin. ctx
// bounds the handshake and nothing later. On an error the client has got a
// response that says what was wrong with its request (400, 403, 426), or is gone.
//
// On a plain HTTP/1.1 connection the client's own socket carries the WebSocket
// (as with http.Hijacker in a handler); with TLS and with HTTP/2 the daemon relays.
func (in *Incoming) AcceptWebSocket(ctx context.Context, subprotocols ...string) (*websocket.Conn, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	// The daemon answers from memory; a ctx that ends before ends the request.
	stop := context.AfterFunc(ctx, func() { in.x.abort(ctx.Err()) })
	defer stop()
	return websocket.Accept(in.Response, in.Request, &websocket.AcceptOptions{Subprotocols: subprotocols})
}
