package cache

import (
	"fmt"
	"runtime"
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
	k := MakeKey(nil, space, &r, r.Path)
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
