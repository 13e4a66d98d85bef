// Command nethttpapp serves package handlers with net/http alone, on TCP or,
// behind a proxy, on a Unix socket.
package main

import (
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"

	"github.com/httpsys/httpsys/bench/apps/handlers"
)

func main() {
	network := flag.String("network", "tcp", "tcp or unix")
	address := flag.String("listen", "127.0.0.1:8080", "host:port, or the path of the socket")
	file := flag.String("file", "", "what /file serves")
	cert := flag.String("cert", "", "certificate in PEM: HTTPS")
	key := flag.String("key", "", "its key")
	flag.Parse()
	ln, err := net.Listen(*network, *address)
	switch {
	case err != nil:
	case *cert != "":
		err = http.ServeTLS(ln, handlers.New(*file), *cert, *key)
	default:
		err = http.Serve(ln, handlers.New(*file))
	}
	fmt.Fprintln(os.Stderr, "nethttpapp:", err)
	os.Exit(1)
}
