// Command room is a chat room: whatever somebody says in it over a WebSocket,
// all who are there hear. It pulls its requests. Its page is another program's,
// examples/chat.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/coder/websocket"

	"github.com/httpsys/httpsys"
)

// slow is how long one who does not listen may hold up the others.
const slow = time.Second

func main() {
	url := "http://localhost:8080/room/"
	if len(os.Args) > 1 {
		url = os.Args[1]
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	queue, err := httpsys.Open(url)
	if err != nil {
		log.Fatal(err)
	}
	defer queue.Close()
	r := room{people: map[*websocket.Conn]string{}}
	for {
		in, err := queue.Receive(ctx)
		if errors.Is(err, context.Canceled) {
			r.close()
			return
		}
		if err != nil {
			log.Fatal(err)
		}
		go r.welcome(ctx, in)
	}
}

type room struct {
	mu     sync.Mutex
	people map[*websocket.Conn]string
	guests sync.WaitGroup
}

// welcome lets somebody in, or tells who asks by an ordinary request.
func (r *room) welcome(ctx context.Context, in *httpsys.Incoming) {
	defer in.Close()
	fmt.Printf("%s %s from %s\n", in.Request.Method, in.Request.URL, in.Request.RemoteAddr)
	if !in.IsWebSocket() {
		r.mu.Lock()
		defer r.mu.Unlock()
		fmt.Fprintf(in.Response, "Hello from room, process %d. %d people are here.\n", os.Getpid(), len(r.people))
		return
	}
	c, err := in.AcceptWebSocket(ctx, "chat")
	if err != nil {
		fmt.Println("not let in:", err)
		return
	}
	defer c.CloseNow()
	name := in.Request.RemoteAddr
	r.guests.Add(1)
	defer r.guests.Done()
	r.mu.Lock()
	r.people[c] = name
	r.mu.Unlock()
	r.say(fmt.Sprintf("%s has come.", name))
	for {
		_, text, err := c.Read(context.Background())
		if err != nil {
			break
		}
		r.say(fmt.Sprintf("%s: %s", name, text))
	}
	r.mu.Lock()
	delete(r.people, c)
	r.mu.Unlock()
	r.say(fmt.Sprintf("%s has left.", name))
}

// say tells everybody.
func (r *room) say(text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for c := range r.people {
		ctx, cancel := context.WithTimeout(context.Background(), slow)
		if c.Write(ctx, websocket.MessageText, []byte(text)) != nil {
			c.CloseNow() // its reader finds out
		}
		cancel()
	}
}

// close says goodbye to everybody, and waits until they have gone.
func (r *room) close() {
	r.mu.Lock()
	var all sync.WaitGroup
	for c := range r.people {
		all.Go(func() { c.Close(websocket.StatusGoingAway, "the program ends") })
	}
	r.mu.Unlock()
	all.Wait()
	r.guests.Wait()
}
