package channel

import (
	"errors"
	"fmt"
	"testing"
)

// The recorded exchanges are frames that parse, and conversations that keep
// the rules of docs/channel.md: a small model of both sides reads along.
func TestExchanges(t *testing.T) {
	for _, x := range readVectors(t).Exchanges {
		t.Run(x.Name, func(t *testing.T) {
			m := newModel()
			for i, step := range x.Steps {
				if len(step.Hex) != len(step.Frames) {
					t.Fatalf("step %d: %d frames and %d descriptions", i, len(step.Hex), len(step.Frames))
				}
				for j, want := range step.Frames {
					checkFrame(t, step.Hex[j], want)
					if err := m.frame(step.From, step.On, want); err != nil {
						t.Errorf("step %d, frame %d (%s from the %s): %v", i, j, want.Type, step.From, err)
					}
				}
			}
		})
	}
}

// The model notices when an exchange breaks a rule.
func TestModel(t *testing.T) {
	tests := []struct {
		why    string
		frames []modelFrame
	}{
		{"REQUEST without credit", []modelFrame{
			{"daemon", request(1, "END")}, {"daemon", request(2, "END")},
		}},
		{"REQUEST with a number that is in use", []modelFrame{
			{"daemon", request(1, "END")}, {"application", description{Type: "CREDIT", Increment: 1}}, {"daemon", request(1, "END")},
		}},
		{"RESPONSE on a stream that is not open", []modelFrame{
			{"application", response(1, 200, "", "END")},
		}},
		{"two final heads", []modelFrame{
			{"daemon", request(1, "END")}, {"application", response(1, 200, "")}, {"application", response(1, 200, "")},
		}},
		{"DATA before a head", []modelFrame{
			{"daemon", request(1, "END")}, {"application", description{Type: "DATA", Stream: 1, Body: "x"}},
		}},
		{"DATA after the end", []modelFrame{
			{"daemon", request(1, "END")}, {"application", response(1, 200, "", "END")}, {"application", description{Type: "DATA", Stream: 1}},
		}},
		{"body bytes beyond the window", []modelFrame{
			{"daemon", request(1, "END")}, {"application", response(1, 200, octets(make([]byte, DefaultWindow+1)))},
		}},
		{"DATA of a request that has ended", []modelFrame{
			{"daemon", request(1, "END")}, {"daemon", description{Type: "DATA", Stream: 1, Body: "x"}},
		}},
	}
	for _, c := range tests {
		m := newModel()
		var err error
		for _, h := range []modelFrame{
			{"application", description{Type: "HELLO", JSON: map[string]any{"credit": 1.0}}},
			{"daemon", description{Type: "WELCOME", JSON: map[string]any{}}},
		} {
			if err := m.frame(h.from, "loop 0", h.frame); err != nil {
				t.Fatal(err)
			}
		}
		for i, f := range c.frames {
			if err != nil {
				t.Errorf("%s: frame %d is too early an error: %v", c.why, i-1, err)
			}
			err = m.frame(f.from, "loop 0", f.frame)
		}
		if err == nil {
			t.Errorf("%s: no error", c.why)
		}
	}
}

type modelFrame struct {
	from  string
	frame description
}

func request(stream uint32, flags ...string) description {
	return description{Type: "REQUEST", Stream: stream, Flags: flags}
}

func response(stream uint32, status uint16, body octets, flags ...string) description {
	return description{Type: "RESPONSE", Stream: stream, Value: status, Body: body, Flags: flags}
}

// model is what a third party can know of a conversation.
type model struct {
	said    map[string]bool // connection and side: HELLO or WELCOME
	credit  int
	windows [2]int64 // at the start of a stream: of request bodies, of response bodies
	streams map[uint32]*modelStream
	goaway  bool // the daemon sends no more requests
}

type modelStream struct {
	window     [2]int64
	head       bool // the final one
	opaque     bool
	requestEnd bool // the daemon's direction has ended
	answerEnd  bool // the application's
}

const (
	requestBody = iota
	responseBody
)

func newModel() *model {
	return &model{said: map[string]bool{}, streams: map[uint32]*modelStream{}, windows: [2]int64{DefaultWindow, DefaultWindow}}
}

func (m *model) frame(from, on string, d description) error {
	if contains(d.Flags, "CREDIT") {
		m.credit++
	}
	switch d.Type {
	case "HELLO", "WELCOME":
		m.said[on+from] = true
		if on == "session" {
			return nil
		}
		members, _ := d.JSON.(map[string]any)
		if n, ok := members["window"].(float64); ok {
			if n < MinWindow || n > MaxInitialWindow {
				return fmt.Errorf("a window of %v", n)
			}
			side := requestBody
			if from == "daemon" {
				side = responseBody
			}
			m.windows[side] = int64(n)
		}
		if n, ok := members["credit"].(float64); ok {
			m.credit = int(n)
		}
		return nil
	}
	if !m.said[on+"application"] {
		return errors.New("before HELLO")
	}
	if d.Type == "REPLY" && d.Stream == 0 {
		return nil // may come instead of WELCOME
	}
	if !m.said[on+"daemon"] {
		return errors.New("before WELCOME")
	}
	switch d.Type {
	case "CALL", "REPLY", "FRAGMENT":
		if on != "session" {
			return errors.New("on a loop connection")
		}
		return nil
	case "CREDIT":
		m.credit += int(d.Increment)
		if m.credit > MaxCredit {
			return errors.New("too much credit")
		}
		return nil
	case "GOAWAY":
		m.goaway = m.goaway || from == "daemon"
		return nil
	case "REQUEST":
		switch {
		case m.goaway:
			return errors.New("after GOAWAY")
		case m.credit == 0:
			return errors.New("without credit")
		case m.streams[d.Stream] != nil:
			return errors.New("stream is in use")
		}
		m.credit--
		m.streams[d.Stream] = &modelStream{window: m.windows}
	}
	s := m.streams[d.Stream]
	if s == nil {
		return errors.New("stream is not open")
	}
	if from == "daemon" {
		return m.daemon(s, d)
	}
	return m.application(s, d)
}

func (m *model) daemon(s *modelStream, d description) error {
	if d.Type == "WINDOW" {
		return s.open(responseBody, d.Increment)
	}
	if d.Type == "CANCEL" {
		s.requestEnd = true
		return nil
	}
	if s.requestEnd {
		return errors.New("after the end of the request")
	}
	s.requestEnd = d.Type == "TRAILERS" || contains(d.Flags, "END")
	return s.take(requestBody, len(d.Body))
}

func (m *model) application(s *modelStream, d description) error {
	if d.Type == "WINDOW" {
		return s.open(requestBody, d.Increment)
	}
	if s.answerEnd && d.Type != "CANCEL" {
		return errors.New("after the end of the answer")
	}
	switch d.Type {
	case "RESPONSE":
		if s.head {
			return errors.New("a second final head")
		}
		s.opaque = contains(d.Flags, "OPAQUE")
		if s.opaque {
			s.requestEnd = false
		}
		s.head = d.Value >= 200 || d.Value == 101 || d.Value == 0
		if !s.head && (len(d.Body) > 0 || contains(d.Flags, "END")) {
			return errors.New("an informational response with a body or an end")
		}
	case "CANCEL":
		delete(m.streams, d.Stream)
		return nil
	default:
		if !s.head {
			return errors.New("before the head")
		}
	}
	if d.Type == "TRAILERS" || contains(d.Flags, "END") {
		s.answerEnd = true
		if !s.opaque { // there only CANCEL frees the number
			delete(m.streams, d.Stream)
		}
	}
	cost := len(d.Body)
	for _, p := range d.Pieces {
		if cost += len(p.Bytes); p.Fragment != "" {
			cost += PieceWindowCost
		}
	}
	if d.Type == "FILE" {
		cost = FileWindowCost
	}
	return s.take(responseBody, cost)
}

func (s *modelStream) take(side, n int) error {
	s.window[side] -= int64(n)
	if s.window[side] < 0 {
		return fmt.Errorf("window overdrawn by %d", -s.window[side])
	}
	return nil
}

func (s *modelStream) open(side int, n uint32) error {
	s.window[side] += int64(n)
	if s.window[side] > MaxWindow {
		return errors.New("window above 2^31-1")
	}
	return nil
}
