package daemon_test

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/httpsys/httpsys/internal/testkit"
	"github.com/httpsys/httpsys/internal/wire/channel"
)

func TestAffinity(t *testing.T) {
	for _, tc := range []struct {
		name     string
		affinity channel.Affinity
		key      func(session string) (target, cookie string)
	}{
		{"query", channel.Affinity{Query: "sid"}, func(s string) (string, string) { return "/x?EIO=4&sid=" + s + "&t=1", "" }},
		{"cookie", channel.Affinity{Cookie: "id"}, func(s string) (string, string) { return "/x", "a=b; id=" + s }},
		{"both", channel.Affinity{Query: "sid", Cookie: "id", Address: true}, func(s string) (string, string) { return "/x?sid=" + s, "id=other" }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d := testkit.Start(t, testkit.Options{})
			apps, url := affineApps(t, d, 3, tc.affinity)
			counts := map[string]int{}
			for range 30 {
				session, who, _ := strings.Cut(send(t, d, url, "/new", ""), " ")
				counts[who]++
				target, cookie := tc.key(session)
				for range 3 {
					if got := send(t, d, url, target, cookie); got != who {
						t.Fatalf("session %s belongs to %s and came to %s", session, who, got)
					}
				}
				if got := send(t, d, url, "/x?sid=unknown"+session, "id=unknown"+session); got != send(t, d, url, "/x?sid=unknown"+session, "id=unknown"+session) {
					t.Error("the same key came to two")
				}
			}
			if len(counts) != 3 && !tc.affinity.Address {
				t.Errorf("new clients came to %v", counts)
			}
			if len(counts) != 1 && tc.affinity.Address {
				t.Errorf("one address came to %v", counts)
			}
			// When a worker goes, its clients go to another, all to the same.
			session := send(t, d, url, "/new", "")
			session, who, _ := strings.Cut(session, " ")
			apps[who[3]-'0'].Close()
			target, cookie := tc.key(session)
			next := send(t, d, url, target, cookie)
			if again := send(t, d, url, target, cookie); next == who || again != next {
				t.Errorf("after the end of %s its client came to %s and %s", who, next, again)
			}
		})
	}
}

// affineApps starts n applications on one queue. Each answers with its name, and
// where it is asked for /new, with a session that it gives out.
func affineApps(t *testing.T, d *testkit.Daemon, n int, a channel.Affinity) ([]*testkit.App, *testkit.Registration) {
	t.Helper()
	var apps []*testkit.App
	var reg *testkit.Registration
	url := "http://+:0/"
	var given atomic.Int64
	for i := range n {
		app := d.App(testkit.AppOptions{Credit: 1000})
		reg = app.RegisterWith(channel.RegisterParams{URL: url, Queue: "shared", Affinity: &a})
		url = reg.URL
		apps = append(apps, app)
		who := fmt.Sprintf("app%d", i)
		app.ServeRequests(func(r *testkit.Request) {
			body, fields := who, []string(nil)
			if strings.HasPrefix(r.Target, "/new") {
				s := fmt.Sprintf("%s-%d", who, given.Add(1))
				body = fmt.Sprintf("%s %s 0{\"sid\":\"%s\"}", s, who, s)
				fields = []string{"Set-Cookie: x=y", "Set-Cookie: id=" + s + "; Path=/"}
			}
			r.Respond(200, fields, body)
		})
	}
	return apps, reg
}

// send sends a request on a connection of its own and returns what it gets.
func send(t *testing.T, d *testkit.Daemon, reg *testkit.Registration, target, cookie string) string {
	t.Helper()
	c := d.Dial(reg)
	head := "GET " + target + " HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
	if cookie != "" {
		head += "Cookie: " + cookie + "\r\n"
	}
	c.Send(head + "\r\n")
	words := strings.Fields(c.WantStatus(200).Body)
	return strings.Join(words[:min(2, len(words))], " ")
}

func TestAffinityParameters(t *testing.T) {
	d := testkit.Start(t, testkit.Options{})
	app := d.App(testkit.AppOptions{})
	for _, a := range []channel.Affinity{{}, {Query: "a b"}, {Cookie: "a=b"}, {Query: strings.Repeat("x", 65)}} {
		if _, err := app.TryRegister(channel.RegisterParams{URL: "http://+:0/", Affinity: &a}); err == nil || err.Code != channel.InvalidParameter {
			t.Errorf("%+v: %v", a, err)
		}
	}
}
