package h1_test

import (
	"errors"
	"fmt"
	"io"
	"net"

	"github.com/httpsys/httpsys/h1"
)

// A server on a socket of its own: one goroutine a connection.
func Example() {
	client, server := net.Pipe()
	go serve(server)
	go io.WriteString(client, "GET /hello HTTP/1.1\r\nHost: example.com\r\nConnection: close\r\n\r\n")
	answer, _ := io.ReadAll(client)
	fmt.Printf("%q", answer)
	// Output:
	// "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 16\r\nConnection: close\r\n\r\nYou want /hello\n"
}

func serve(sock net.Conn) {
	defer sock.Close()
	var c h1.Conn
	var request *h1.Request
	in, out := make([]byte, 4096), []byte(nil)
	for !c.ShouldClose() {
		ev, err := c.Next()
		switch {
		case errors.Is(err, h1.ErrNeedMore):
			n, err := sock.Read(in)
			if err != nil {
				c.ReceiveEOF()
			}
			c.Receive(in[:n])
			continue
		case err != nil:
			var bad *h1.Error
			if errors.As(err, &bad) {
				out, _ = c.AppendError(out[:0], bad.Status, bad.Text)
				sock.Write(out)
			}
			return
		}
		switch ev.Kind {
		case h1.GotRequest:
			request = ev.Request
		case h1.GotEnd: // the body, had we wanted it, came with h1.GotData
			head := &h1.Response{Status: 200, Fields: h1.Fields{{Name: "Content-Type", Value: "text/plain"}}}
			out, _ = c.AppendResponse(out[:0], head, []byte("You want "+request.Path+"\n"), true)
			if _, err := sock.Write(out); err != nil {
				return
			}
		}
	}
}
