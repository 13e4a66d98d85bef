package promises

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/coder/websocket"

	"github.com/httpsys/httpsys/internal/control"
)

// The example programs work beside each other on one port, and end in order.
func TestExamples(t *testing.T) {
	m := newMachine(t, false)
	port := m.port()
	client := newClient(t)
	for _, e := range []struct{ name, path, want string }{
		{"foo", "foo/x", `^Hello from foo, process %d\.\n$`},
		{"bar", "bar/y", `^Hello from bar, process %d\. You asked for /bar/y\.\n$`},
		{"pull", "pull/", `^Hello from pull, process %d\. This was request 1\.\n$`},
	} {
		url := "http://localhost:" + port + "/"
		p := m.start(e.name, url+e.name+"/")
		m.waitFor(e.name+"'s prefix", func(st control.State) bool { return registered(st, url+e.name+"/") })
		got, err := body(client, url+e.path)
		if want := regexp.MustCompile(fmt.Sprintf(e.want, p.cmd.Process.Pid)); err != nil || !want.MatchString(got) {
			t.Errorf("%s says %q, %v", e.name, got, err)
		}
		p.await("GET /" + e.path + " from ")
		if e.name == "bar" {
			upload := run(t, "hello", "curl", "-sS", "-T", "-", "-X", "POST", url+"bar/upload")
			if want := strings.TrimSuffix(strings.Replace(sumOf("", []byte("hello")), "5 ", "5 bytes, sha256 ", 1), " <nil>") + "\n"; " "+upload != want {
				t.Errorf("upload: %q, want %q", upload, want)
			}
		}
		if e.name != "foo" { // as short as a program can be: it ends as any program does
			defer func() {
				p.signal(os.Interrupt.(syscall.Signal))
				if code := p.wait(); code != 0 {
					t.Errorf("%s ended with status %d", e.name, code)
				}
			}()
		}
	}
}

// An HTTP server from scratch: package h1 on a port without HTTP. curl and Go's
// client take it for one, and it holds against what is none.
func TestFromScratch(t *testing.T) {
	m := newMachine(t, false)
	at := "localhost:" + m.port()
	p := m.start("scratch", "tcp://"+at+"/")
	m.waitFor("its prefix", func(st control.State) bool { return registered(st, "tcp://"+at+"/") })
	says := func(method, target string, n int) string {
		return fmt.Sprintf("Hello from scratch, process %d. You sent %s %s and %d bytes.\n", p.cmd.Process.Pid, method, target, n)
	}
	if got, err := body(newClient(t), "http://"+at+"/x?y"); err != nil || got != says("GET", "/x?y", 0) {
		t.Errorf("got %q, %v", got, err)
	}
	if got := run(t, string(uploaded), "curl", "-sS", "-T", "-", "-X", "POST", "http://"+at+"/1"); got != says("POST", "/1", len(uploaded)) {
		t.Errorf("an upload in chunks: %q", got)
	}
	if got := run(t, "", "curl", "-sS", "-d", "hello", "-H", "Expect: 100-continue", "http://"+at+"/2", "--next", "http://"+at+"/3", "-w", "%{num_connects}"); got != says("POST", "/2", 5)+says("GET", "/3", 0)+"0" {
		t.Errorf("two on a connection: %q", got)
	}
	if got := run(t, "GET / HTTP/1.1\nHost: a\nHost: b\n\n", "nc", "-w", "30", "127.0.0.1", strings.TrimPrefix(at, "localhost:")); !strings.HasPrefix(got, "HTTP/1.1 400 ") {
		t.Errorf("what is no HTTP: %q", got)
	}
}

// make demo shows programs on one port; what it prints works, and Ctrl-C ends
// it all.
func TestDemo(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	temp := t.TempDir()
	c := exec.Command("make", "-C", root, "demo")
	c.Env = append(os.Environ(), "TMPDIR="+temp)
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	p := startProcess(t, "make", c)
	t.Cleanup(func() { syscall.Kill(-c.Process.Pid, syscall.SIGKILL) })
	p.await("^Requests are shown as they come")
	var urls []string
	for line := range strings.Lines(p.output()) {
		if u := strings.TrimSpace(line); strings.HasPrefix(line, "    http://") {
			urls = append(urls, u)
		}
	}
	client := newClient(t)
	var names []string
	for _, u := range urls {
		name := filepath.Base(u)
		want := "^Hello from " + name
		switch {
		case name == "chat":
			want = "<title>Hello from chat</title>"
		case strings.Count(u, "/") == 3:
			name, want = "express", "^Express "
		}
		names = append(names, name)
		if got, err := body(client, u); err != nil || !regexp.MustCompile(want).MatchString(got) {
			t.Errorf("%s says %q, %v", u, got, err)
		}
		if name != "express" {
			p.await("^" + name + ` .*GET /` + name + `/`)
		}
	}
	if got, want := strings.Join(names, " "), "foo bar pull room chat express"; got != want {
		t.Fatalf("it prints URLs of %s, want %s", got, want)
	}
	chat(t, urls[3], urls[4])
	view := regexp.MustCompile(`(?m)^    HTTPSYS_SOCKET=(\S+) (\S+) show servicestate$`).FindStringSubmatch(p.output())
	if view == nil {
		t.Fatal("it does not say how to look at it")
	}
	look := exec.Command(filepath.Join(root, view[2]), "show", "servicestate")
	look.Env = append(os.Environ(), "HTTPSYS_SOCKET="+view[1])
	if out, err := look.CombinedOutput(); err != nil || !strings.Contains(string(out), urls[0]) {
		t.Errorf("servicestate: %v\n%s", err, out)
	}

	// Ctrl-C is a signal to all processes in front.
	syscall.Kill(-c.Process.Pid, syscall.SIGINT)
	p.wait()
	if out := p.output(); !strings.Contains(out, "The demo ends.") {
		t.Errorf("it does not say that it ends:\n%s", out)
	}
	if left, _ := os.ReadDir(temp); len(left) > 0 {
		t.Errorf("%v is left behind", left)
	}
	if _, err := client.Get(urls[0]); err == nil {
		t.Error("the port is still open")
	}
}

// chat opens the page of one program in a browser, which says something in the
// room of the other.
func chat(t *testing.T, room, page string) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	c, _, err := websocket.Dial(ctx, strings.Replace(room, "http", "ws", 1), &websocket.DialOptions{Subprotocols: []string{"chat"}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.CloseNow()
	startBrowser(t, page+"#hello%20everybody")
	for {
		_, text, err := c.Read(ctx)
		if err != nil {
			t.Fatalf("nobody says hello: %v", err)
		}
		if strings.HasSuffix(string(text), ": hello everybody") {
			return
		}
	}
}

// registered says whether a prefix is.
func registered(st control.State, url string) bool {
	return slices.ContainsFunc(st.Queues, func(q control.Queue) bool { return slices.Contains(q.Prefixes, url) })
}
