// Command foo is an ordinary net/http program on a shared port: the two
// lines that make it one are the import and ListenAndServe.
package main

import (
	"fmt"
	"log"
	"net/http"
	"os"

	"github.com/httpsys/httpsys"
)

func main() {
	url := "http://localhost:8080/foo/"
	if len(os.Args) > 1 {
		url = os.Args[1]
	}
	http.HandleFunc("/foo/", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(os.Stdout, "%s %s from %s\n", r.Method, r.URL, r.RemoteAddr)
		fmt.Fprintf(w, "Hello from foo, process %d.\n", os.Getpid())
	})
	log.Fatal(httpsys.ListenAndServe(url, nil)) // was: http.ListenAndServe(":8080", nil)
}
