package httpsys_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"os"
	"os/signal"

	"github.com/httpsys/httpsys"
)

// A program of net/http becomes one that shares its port by changing one line.
func ExampleListenAndServe() {
	http.HandleFunc("/app/", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "hello from %s\n", r.URL.Path)
	})
	// http.ListenAndServe(":8080", nil)
	log.Fatal(httpsys.ListenAndServe("http://+:8080/app/", nil))
}

// A server that ends in order at Ctrl-C, and says where it can be reached.
func ExampleServer_Serve() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	s := &httpsys.Server{
		Prefixes: []string{"http://+:0/shop/"},
		Queue:    "shop", // shared with the other processes of the shop
		Handler:  http.FileServer(http.Dir("static")),
		OnRegistered: func(urls []string) {
			log.Print("serving ", urls)
		},
	}
	if err := s.Serve(ctx); !errors.Is(err, httpsys.ErrServerClosed) {
		log.Fatal(err)
	}
}

// What to do can depend on why a prefix could not be registered.
func ExampleError() {
	err := httpsys.ListenAndServe("http://+:80/", nil)
	switch {
	case errors.Is(err, &httpsys.Error{Code: httpsys.AccessDenied}):
		log.Fatal("ask the administrator for a reservation: ", err)
	case errors.Is(err, &httpsys.Error{Code: httpsys.NoDaemon}):
		log.Fatal(err)
	}
}

// Any framework that takes a net.Listener.
func ExampleListen() {
	ln, err := httpsys.Listen("http://+:8080/app/")
	if err != nil {
		log.Fatal(err)
	}
	log.Fatal(http.Serve(ln, nil))
}

// A program that takes a request when it has time for one.
func ExampleQueue_Receive() {
	q, err := httpsys.Open("http://+:8080/jobs/")
	if err != nil {
		log.Fatal(err)
	}
	defer q.Close()
	for {
		in, err := q.Receive(context.Background())
		if err != nil {
			return
		}
		fmt.Fprintf(in.Response, "%s is done\n", in.Request.URL.Path)
		in.Close()
	}
}

// Prefixes from the settings of a program.
func ExampleBinding() {
	b := httpsys.Binding{
		Port:    8080,
		URLBase: "shop",
		Hosts:   []string{"shop.example", "2001:db8::1"},
		Default: true,
	}
	for _, prefix := range b.Prefixes() {
		fmt.Println(prefix)
	}
	// Output:
	// http://shop.example:8080/shop/
	// http://[2001:db8::1]:8080/shop/
	// http://+:8080/shop/
}
