package cache

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/httpsys/httpsys/internal/cache/rules"
	"github.com/httpsys/httpsys/internal/wire/message"
)

// A small object costs little beside its own bytes, and the budget knows of it. HTTPSYS has no
// say in what the runtime rounds up to: the bound is for all of it together.
func TestMemory(t *testing.T) {
	n := 200_000
	if testing.Short() {
		n = 20_000
	}
	c := New(Limits{Size: 1 << 30, Largest: 1 << 20})
	space := &Space{ID: 1}
	before := heap()
	var own int64
	for i := range n {
		e, k := entry(space, fmt.Sprintf("/object/%d", i), "hello, world!", "Content-Type: text/plain", "Cache-Control: max-age=1000",
			"ETag: \"12345678\"")
		own += int64(len(e.data) + len(k.Bytes))
		if !c.Reserve(e.Cost()) || !c.Put(space, &k, k.Bytes, e, c.Mark()) {
			t.Fatal("not stored")
		}
	}
	c.found.CleanUp()
	used := int64(heap() - before)
	beyond := (used - own) / int64(n)
	t.Logf("%d objects: %d bytes each, of which %d are their own; the budget says %d", n, used/int64(n), own/int64(n), c.Used()/int64(n))
	if beyond > 400 {
		t.Errorf("%d bytes beyond its own for each object", beyond)
	}
	if c.Used() < used*95/100 {
		t.Errorf("the budget says %d bytes, it is %d", c.Used(), used)
	}
	runtime.KeepAlive(c)
}

// What clients choose counts, too: a URL may be much longer than what is stored for it.
func TestMemoryOfLongKeys(t *testing.T) {
	const n = 10_000
	long := strings.Repeat("x", 4000)
	c := New(Limits{Size: 1 << 30, Largest: 1 << 20})
	space := &Space{ID: 1}
	before := heap()
	for i := range n {
		r := message.Request{Authority: []byte("localhost"), Path: fmt.Appendf(nil, "/%d/%s", i, long), Target: []byte("/")}
		canonical := r.Path
		if i%2 == 0 { // it is spelled otherwise, and both are kept
			r.Authority = []byte("LOCALHOST")
		}
		k := MakeKey(nil, space, &r, canonical)
		e, _ := entryOf(k, space, "hello, world!", "Cache-Control: max-age=1000")
		if !c.Reserve(e.Cost()) || !c.Put(space, &k, k.AppendCanonical(nil, space, canonical), e, c.Mark()) {
			t.Fatal("not stored")
		}
	}
	c.found.CleanUp()
	used := int64(heap() - before)
	t.Logf("%d bytes each; the budget says %d", used/n, c.Used()/n)
	if c.Used() < used*95/100 {
		t.Errorf("the budget says %d bytes, it is %d", c.Used(), used)
	}
	c.Close(space)
	if c.Used() != 0 {
		t.Errorf("%d bytes are taken when all is gone", c.Used())
	}
	runtime.KeepAlive(c)
}

func heap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// entry makes an entry and its key.
func entry(space *Space, path, body string, lines ...string) (*Entry, Key) {
	r := message.Request{Authority: []byte("localhost"), Path: []byte(path), Target: []byte(path)}
	return entryOf(MakeKey(nil, space, &r, r.Path), space, body, lines...)
}

// entryOf makes an entry for a key.
func entryOf(k Key, space *Space, body string, lines ...string) (*Entry, Key) {
	text := "HTTP/1.1 200 OK\r\n"
	for _, l := range lines {
		text += l + "\r\n"
	}
	var resp message.Response
	if err := resp.ParseText(200, []byte(text+"\r\n")); err != nil {
		panic(err)
	}
	var q rules.Request
	q.Parse(false, nil)
	v := rules.Judge(&q, &rules.Response{Status: 200, Fields: resp.Fields, Date: 1e9, Now: 1e9}, rules.Policy{})
	e := NewEntry(&Draft{Space: space, Key: k, Verdict: &v, Response: &resp, Server: []byte("httpsys"), Now: 1000, Unix: 1e9}, int64(len(body)))
	e.WithBody([]byte(body))
	return e, k
}
