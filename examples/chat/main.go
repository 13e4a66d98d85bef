// Command chat serves a page with a live chat. The WebSocket of the page is
// another program's, examples/room: both share a port, so for the browser they
// are one site.
package main

import (
	_ "embed"
	"fmt"
	"log"
	"net/http"
	"os"

	"github.com/httpsys/httpsys"
)

//go:embed page.html
var page []byte

func main() {
	url := "http://localhost:8080/chat/"
	if len(os.Args) > 1 {
		url = os.Args[1]
	}
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Printf("%s %s from %s\n", r.Method, r.URL, r.RemoteAddr)
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Write(page)
	})
	log.Fatal(httpsys.ListenAndServe(url, handler))
}
