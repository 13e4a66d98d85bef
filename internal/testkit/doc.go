// Package testkit gives tests of the whole engine their verbs: a daemon in
// this process, applications that speak the channel frame by frame, and
// clients that speak HTTP byte by byte.
//
//	d := testkit.Start(t, testkit.Options{})
//	app := d.App(testkit.AppOptions{Credit: 1})
//	reg := app.Register("http://+:0/app/")
//	c := d.Dial(reg)
//	c.Send("GET /app/ HTTP/1.1\r\nHost: a\r\n\r\n")
//	app.Request().Respond("200", nil, "hello")
//	c.Want("HTTP/1.1 200 OK\r\nDate: *\r\nServer: httpsys\r\nContent-Length: 5\r\n\r\nhello")
//
// Nothing here sleeps: each verb waits for one event, and fails the test if
// that has not come after Patience. When the test ends, everything that it
// made is closed, and then the daemon must have come to rest: no request, no
// connection, no session, no queue, no goroutine, no descriptor may be left.
//
// daemon.go is the daemon, app.go and frames.go an application, request.go a
// request as it sees it, client.go a client, user.go applications of other
// users. Package testkit/leak finds what is left, and is of use without a
// daemon. Package testkit/fakedaemon is the other side of the channel, for
// tests of applications.
package testkit
