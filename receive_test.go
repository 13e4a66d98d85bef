package httpsys

import (
	"context"
	"testing"

	"github.com/httpsys/httpsys/internal/testkit/fakedaemon"
)

// A pulled is a Queue with its fake daemon.
type pulled struct {
	*Queue
	session *fakedaemon.Session
}

func openQueue(t testing.TB, conf fakedaemon.Config) (pulled, *fakedaemon.Daemon) {
	t.Helper()
	d := fakedaemon.New(t, conf)
	var book logBook
	s := &Server{Prefixes: []string{"http://+:8080/"}, Socket: d.Path, ErrorLog: book.logger()}
	q, err := s.Open(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		shutdown(t, q)
		if book.String() != "" {
			t.Errorf("logged: %s", &book)
		}
	})
	return pulled{q, d.Session(1)}, d
}
