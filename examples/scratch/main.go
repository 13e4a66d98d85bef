// Command scratch is an HTTP server from scratch: it takes the connections of a
// port as they come, and package h1 turns their bytes into requests and its
// answers into bytes. The port is still shared out by httpsys: it is reserved,
// counted, and served by as many processes as are started.
package main

import (
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/httpsys/httpsys"
	"github.com/httpsys/httpsys/h1"
)

// patience is how long a client may be silent.
const patience = 30 * time.Second

func main() {
	url := "tcp://localhost:9000/"
	if len(os.Args) > 1 {
		url = os.Args[1]
	}
	ln, err := httpsys.Listen(url)
	if err != nil {
		log.Fatal(err)
	}
	for {
		c, err := ln.Accept() // the client's own *net.TCPConn
		if err != nil {
			log.Fatal(err)
		}
		go serve(c)
	}
}

func serve(sock net.Conn) {
	defer sock.Close()
	var c h1.Conn
	var request *h1.Request
	size := 0
	in, out := make([]byte, 16<<10), []byte(nil)
	for !c.ShouldClose() {
		ev, err := c.Next()
		var bad *h1.Error
		switch {
		case errors.Is(err, h1.ErrNeedMore):
			sock.SetReadDeadline(time.Now().Add(patience))
			n, err := sock.Read(in)
			if c.Receive(in[:n]); err != nil {
				c.ReceiveEOF()
			}
			continue
		case errors.As(err, &bad):
			out, _ = c.AppendError(out[:0], bad.Status, bad.Text)
			sock.Write(out)
			return
		case err != nil: // the end
			return
		}
		switch ev.Kind {
		case h1.GotRequest:
			request, size = ev.Request, 0
			fmt.Printf("%s %s from %s\n", request.Method, request.Target, sock.RemoteAddr())
			if request.ExpectContinue {
				out, _ = c.AppendInformational(out[:0], &h1.Response{Status: 100})
				sock.Write(out)
			}
		case h1.GotData:
			size += len(ev.Data)
		case h1.GotEnd:
			body := fmt.Sprintf("Hello from scratch, process %d. You sent %s %s and %d bytes.\n", os.Getpid(), request.Method, request.Target, size)
			head := &h1.Response{Status: 200, Fields: h1.Fields{
				{Name: "Content-Type", Value: "text/plain; charset=utf-8"},
				{Name: "Date", Value: time.Now().UTC().Format(http.TimeFormat)}, // RFC 9110 6.6.1
			}}
			out, err = c.AppendResponse(out[:0], head, []byte(body), true)
			if err != nil {
				log.Print(err)
				return
			}
			if _, err := sock.Write(out); err != nil {
				return
			}
		}
	}
}
