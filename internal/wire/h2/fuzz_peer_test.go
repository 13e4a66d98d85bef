package h2

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"sort"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// script is a connection on which a client has said all it will ever say.
type script struct {
	in  *strings.Reader
	mu  sync.Mutex
	out bytes.Buffer
}

// Read waits before it tells the end, so that all that can be answered is. The
// time is that of the bubble.
func (c *script) Read(p []byte) (int, error) {
	n, err := c.in.Read(p)
	if err != nil {
		time.Sleep(time.Second)
	}
	return n, err
}
func (c *script) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.out.Write(p)
}
func (c *script) Close() error                     { return nil }
func (c *script) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (c *script) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (c *script) SetDeadline(time.Time) error      { return nil }
func (c *script) SetReadDeadline(time.Time) error  { return nil }
func (c *script) SetWriteDeadline(time.Time) error { return nil }

// taken are requests that came in whole, one line each, in an order that does
// not depend on time.
type taken struct {
	mu    sync.Mutex
	lines []string
}

func (k *taken) add(method, target, authority string, fields map[string][]string, body string) {
	var t strings.Builder
	// A colon without a port behind it means nothing; ours has taken it away.
	fmt.Fprintf(&t, "%s %s %s", method, target, strings.TrimSuffix(strings.ToLower(authority), ":"))
	var names []string
	for name := range fields {
		switch name {
		case "host", "expect", "te", "trailer": // they mean something to net/http
		default:
			names = append(names, name)
		}
	}
	sort.Strings(names)
	for _, name := range names {
		fmt.Fprintf(&t, " %s=%q", name, fields[name])
	}
	fmt.Fprintf(&t, " %q", body)
	k.mu.Lock()
	k.lines = append(k.lines, t.String())
	k.mu.Unlock()
}

func lower(h http.Header) map[string][]string {
	m := map[string][]string{}
	for name, values := range h {
		m[strings.ToLower(name)] = values
	}
	return m
}

// byPeer is what golang.org/x/net/http2 makes of in: the requests that came in
// whole, and the errors that it answered with.
func byPeer(t *testing.T, in string) (got []string, faults []string) {
	var k taken
	c := &script{in: strings.NewReader(in)}
	synctest.Test(t, func(t *testing.T) {
		h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, err := io.ReadAll(r.Body)
			if err == nil {
				k.add(r.Method, r.RequestURI, r.Host, lower(r.Header), string(body))
			}
			<-r.Context().Done() // as our owner, it answers nothing
		})
		// A Server without a limit for handlers of its own: ours counts open streams.
		s := &http2.Server{MaxConcurrentStreams: uint32(DefaultLimits.Streams), MaxUploadBufferPerStream: minWindow, MaxUploadBufferPerConnection: 1 << 20}
		s.ServeConn(c, &http2.ServeConnOpts{BaseConfig: &http.Server{ErrorLog: nil, MaxHeaderBytes: 1 << 20}, Handler: h})
	})
	fr := http2.NewFramer(nil, &c.out)
	fr.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	for {
		f, err := fr.ReadFrame()
		if err != nil {
			break
		}
		switch f := f.(type) {
		case *http2.GoAwayFrame:
			if f.ErrCode != http2.ErrCodeNo {
				faults = append(faults, "goaway "+f.ErrCode.String())
			}
		case *http2.RSTStreamFrame:
			faults = append(faults, fmt.Sprintf("%d reset %s", f.StreamID, f.ErrCode))
		case *http2.MetaHeadersFrame:
			if f.PseudoValue("status") == "100" {
				continue
			}
			faults = append(faults, fmt.Sprintf("%d answered", f.StreamID)) // 400, 431: nobody was asked
		}
	}
	slices.Sort(k.lines)
	return k.lines, faults
}

// byUs is the same for this package.
func byUs(t *testing.T, in string) (got []string, skip bool, err *Error) {
	type half struct {
		method, target, authority string
		fields                    map[string][]string
		body                      []byte
		whole                     bool
	}
	var k taken
	s := newSide(t, nil)
	s.eager = true
	s.shared.ExtendedConnect = false // the peer does not know it
	open := map[uint32]*half{}
	s.on = func(e *Event) {
		var id uint32
		if e.Stream != nil {
			id = e.Stream.ID()
		}
		switch e.Kind {
		case GotRequest:
			r := e.Request
			h := &half{method: string(r.Method), target: string(r.Target), authority: string(r.Authority), fields: map[string][]string{}}
			for _, f := range r.Fields {
				h.fields[string(f.Name)] = append(h.fields[string(f.Name)], string(f.Value))
			}
			open[id] = h
			if host := h.fields["host"]; host != nil && host[0] != h.authority {
				skip = true // another spelling of the authority: the peer refuses it, or takes it
			}
			if _, err := url.ParseRequestURI(h.target); err != nil && h.method != "CONNECT" {
				skip = true // an escape that is none: with us package prefix says so
			}
		case GotData:
			open[id].body = append(open[id].body, e.Data...)
		case Reset:
			delete(open, id)
		}
		if h := open[id]; h != nil && e.End {
			h.whole = true
		}
	}
	s.feed(in)
	s.check()
	for _, h := range open {
		if h.whole {
			k.add(h.method, h.target, h.authority, h.fields, string(h.body))
		}
	}
	slices.Sort(k.lines)
	c := s.shared.Counters
	// The peer looks into blocks and frames that are not complete.
	skip = skip || s.c.blockID != 0 || len(s.in) > 0 || s.c.left > 0 || s.c.skip > 0
	return k.lines, skip || c.Faults+c.ClientResets > 0, s.c.Err()
}

// hasTwice says whether a SETTINGS frame has a setting twice: the peer minds,
// the RFC does not (9113 6.5.3).
func hasTwice(in string) bool {
	for len(in) >= frameHeader {
		h := parseHeader([]byte(in))
		in = in[frameHeader:]
		p := in[:min(h.length, len(in))]
		in = in[len(p):]
		seen := map[string]bool{}
		for ; h.typ == typeSettings && len(p) >= 6; p = p[6:] {
			if seen[p[:2]] {
				return true
			}
			seen[p[:2]] = true
		}
	}
	return false
}

// FuzzAgainstPeer gives the same bytes to this package and to
// golang.org/x/net/http2. We may be stricter, never laxer, and what both take has to be the same
// request: a stranger to whom a request means one thing here and another there is how smuggling begins.
func FuzzAgainstPeer(f *testing.F) {
	for _, row := range goodRequests {
		f.Add([]byte(row.in + get(99)))
	}
	for _, row := range badRequests {
		f.Add([]byte(row.in + get(99)))
	}
	for _, row := range badConnections {
		f.Add([]byte(get(1) + row.in))
	}
	f.Add([]byte(post(1) + data(1, false, "abc") + get(3) + data(1, true, "def") + settingsOf(setting(setHeaderTableSize, 0))))
	f.Add([]byte(post(1) + data(1, false, "abc") + headers(1, true, "x", "y") + reset(1, Cancel)))
	f.Fuzz(func(t *testing.T, in []byte) {
		if len(in) > 16<<10 {
			return
		}
		ours, skip, err := byUs(t, hello+string(in))
		if err != nil || skip || hasTwice(string(in)) {
			return // where we refuse, the peer may do as it likes
		}
		theirs, faults := byPeer(t, hello+string(in))
		if len(faults) > 0 {
			t.Fatalf("the peer found %q, we nothing\nours %q", faults, ours)
		}
		if !slices.Equal(ours, theirs) {
			t.Fatalf("ours   %q\ntheirs %q", ours, theirs)
		}
	})
}
