package httpsys

import (
	"context"
	"net/http"
	"runtime"
	"testing"

	"github.com/httpsys/httpsys/internal/testkit/fakedaemon"
)

func newRequestContext(base context.Context) *requestContext {
	return &requestContext{base: base, x: new(exchange)}
}

// A requestContext is to those who derive from it what WithCancel makes.
func TestContextTree(t *testing.T) {
	c := newRequestContext(context.Background())
	before := runtime.NumGoroutine()
	child, cancelChild := context.WithCancel(c)
	defer cancelChild()
	grandchild, cancel := context.WithTimeout(context.WithValue(child, "k", "v"), 1<<40)
	defer cancel()
	called := make(chan struct{})
	context.AfterFunc(c, func() { close(called) })
	stop := context.AfterFunc(c, func() { t.Error("a stopped function was called") })
	if !stop() || stop() {
		t.Error("stop does not tell whether it stopped")
	}
	if n := runtime.NumGoroutine(); n > before {
		t.Errorf("%d goroutines wait for the parent", n-before)
	}
	if c.Err() != nil || child.Err() != nil {
		t.Error("ended before the end")
	}
	c.cancel()
	c.cancel()
	<-c.Done()
	<-child.Done()
	<-grandchild.Done()
	<-called
	for _, ctx := range []context.Context{c, child, grandchild} {
		if ctx.Err() != context.Canceled || context.Cause(ctx) != context.Canceled {
			t.Errorf("%v, because of %v", ctx.Err(), context.Cause(ctx))
		}
	}
	// And those that come too late.
	late, cancelLate := context.WithCancel(c)
	defer cancelLate()
	<-late.Done()
	again := make(chan struct{})
	c.AfterFunc(func() { close(again) })
	<-again
}

// A child that is cancelled is forgotten by its parent.
func TestContextForgetsChildren(t *testing.T) {
	c := newRequestContext(context.Background())
	for range 100 {
		_, cancel := context.WithCancel(c)
		cancel()
	}
	if len(c.funcs) != 0 {
		t.Errorf("%d children are kept", len(c.funcs))
	}
}

func TestContextDoneAfterEnd(t *testing.T) {
	c := newRequestContext(context.Background())
	c.cancel()
	<-c.Done()
}

// The context ends with the handler.
func TestContextEndsWithHandler(t *testing.T) {
	kept := make(chan context.Context, 1)
	s := serveFunc(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Context().Err() != nil {
			t.Error("ended while the handler runs")
		}
		kept <- r.Context()
	})
	s.Do(fakedaemon.Request{})
	ctx := <-kept
	<-ctx.Done()
	if ctx.Err() != context.Canceled {
		t.Error(ctx.Err())
	}
}
