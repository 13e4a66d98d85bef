// Package httpsys lets a program serve HTTP below URL prefixes of its own, on
// ports that it shares with other programs.
//
// A program registers prefixes with the httpsys daemon, which owns the ports
// of the machine, and receives exactly the requests that match:
//
//	httpsys.ListenAndServe("http://+:8080/app/", handler)
//
// takes the place of http.ListenAndServe. The host of a prefix is a name, an
// address, "+" for every host or "*" for those that nobody else wants; port 0
// asks for a free port.
//
// # Three ways to take requests
//
// [Server.Serve] runs an http.Handler for each request, as net/http does:
// the types are those of net/http, and a handler does not notice the
// difference, down to informational responses, trailers, hijacking and
// http.ResponseController.
//
// [Listen] returns a net.Listener for any framework that wants one. Requests
// come as HTTP/1.1 text on connections that look like the clients' own. It
// costs more than Serve: the text is written here and parsed there.
//
// [Open] returns a [Queue], from which the program pulls requests one by one
// with [Queue.Receive]. Only what was asked for comes; the rest waits in the
// daemon, where other processes may take it.
//
// A [Server] has the settings of all three: further prefixes, prefixes made
// from settings ([Binding]), a named request queue that several processes
// share, limits, logs. [PrefixOf], [ConnectionOf] and [ClientCertificate] tell
// more about a request.
//
// # The connection to the daemon
//
// The daemon is found through HTTPSYS_SOCKET, else in the place of a daemon of
// this user or of root. The first attempt to connect and to register is the
// caller's: its error is returned at once, as an [*Error] with a [Code]. Later,
// when the daemon was restarted, everything is registered again, on the same
// ports, and ErrorLog says so.
//
// # What is different from net/http
//
//   - Date, Server, and how a body is framed are the daemon's; a handler's
//     Transfer-Encoding has no effect.
//   - The request body can always be read while the response is written.
//   - After Hijack, a connection is one of the channel to the daemon and no
//     *net.TCPConn. It ends at the latest when Shutdown has ended. Hijack
//     needs the request body to have arrived, and a response not yet begun.
//   - http.ServerContextKey gives an *http.Server that serves nothing.
//   - http.MaxBytesReader cannot close the client's connection; the daemon
//     discards the rest of the body within its own limits.
//   - There is no ConnState and no ConnContext: connections are the daemon's.
//   - Request.TLS says what the daemon has agreed on with the client.
//     ExportKeyingMaterial returns an error: the keys are not here.
//   - A panic before the response has begun gives the client 502.
//
// # How it works
//
// The protocol is docs/channel.md. Reading order of the source: server.go has
// the settings, endpoint.go keeps them registered, session.go and loop.go are
// the connections, out.go is what is sent; stream.go is one request on its
// loop, request.go and response.go are what a handler sees of it, pool.go runs
// the handlers. clientconn.go and clientcert.go are what the daemon tells of a
// client's TLS. hijack.go and sendfile.go are what their names say, listen.go
// with textconn.go is Listen, receive.go is Open.
package httpsys
