package promises

import (
	"fmt"
	"net"
	"net/http"
	"syscall"
	"testing"
	"time"
)

// The daemon ends, by a signal or by none, and comes back: programs connect and
// register again by themselves, with the same ports, and requests work.
func TestDaemonRestarts(t *testing.T) {
	for _, end := range []struct {
		name string
		how  func(*process)
	}{{"SIGTERM", (*process).halt}, {"SIGKILL", (*process).kill}} {
		t.Run(end.name, func(t *testing.T) {
			m := newMachine(t, false)
			a := m.program("a", "prefix=http://+:0/a/", "prefix=http://localhost:0/other/")
			b := m.program("b", "prefix=http://+:"+a.port()+"/b/", "queue=q")
			before := m.state()
			for range 2 {
				end.how(m.daemon)
				if c, err := net.Dial("tcp", a.addr); err == nil {
					c.Close()
					t.Error("the port is open without a daemon")
				}
				m.startDaemon()
				a.await("^ready ")
				b.await("^ready ")
				for name, p := range map[string]*process{"a": a, "b": b} {
					want := fmt.Sprintf("%s GET /%s/\n", name, name)
					if got, err := body(newClient(t), p.url); err != nil || got != want {
						t.Errorf("got %q, %v", got, err)
					}
				}
			}
			after := m.state()
			if fmt.Sprint(after.Ports) != fmt.Sprint(before.Ports) || len(after.Queues) != len(before.Queues) {
				t.Errorf("the state is %+v, it was %+v", after, before)
			}
			a.halt()
			b.halt()
		})
	}
}

// SIGTERM closes the ports at once, finishes the requests that are there, and
// ends with status 0; the programs wait for the next daemon.
func TestDaemonDrains(t *testing.T) {
	m := newMachine(t, false)
	p := m.program("p", "prefix=http://+:0/")
	p.command("hold")
	const requests = 10
	answers := make(chan string, requests)
	for n := range requests {
		client := newClient(t)
		go func() {
			got, err := body(client, fmt.Sprintf("%s?n=%d", p.url, n))
			answers <- fmt.Sprint(got, err)
		}()
	}
	for range requests {
		p.await("^held ")
	}
	idle, err := net.Dial("tcp", p.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer idle.Close()
	m.daemon.signal(syscall.SIGTERM)
	// A connection without a request ends at once, also one that was never used.
	if n, err := idle.Read(make([]byte, 1)); n != 0 || err == nil {
		t.Errorf("an idle connection goes on: %d %v", n, err)
	}
	for end := time.Now().Add(patience); ; {
		c, err := net.Dial("tcp", p.addr)
		if err != nil {
			break
		}
		c.Close()
		if time.Now().After(end) {
			t.Fatal("the port is still open")
		}
	}
	p.command("release")
	seen := map[string]bool{}
	for range requests {
		seen[<-answers] = true
	}
	for n := range requests {
		if want := fmt.Sprintf("p GET /?n=%d\n<nil>", n); !seen[want] {
			t.Errorf("there is no answer %q in %v", want, seen)
		}
	}
	if code := m.daemon.wait(); code != 0 {
		t.Errorf("the daemon ended with status %d", code)
	}
	m.startDaemon()
	p.await("^ready ")
	if resp, err := newClient(t).Get(p.url); err != nil || resp.StatusCode != http.StatusOK {
		t.Errorf("after the restart: %v %v", resp, err)
	}
}
