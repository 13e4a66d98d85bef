package h2

import "github.com/httpsys/httpsys/internal/wire/message"

// priority is what RFC 9218 section 4 says of a response.
type priority struct {
	urgency     uint8
	incremental bool
}

// parsePriority reads a Priority field: a dictionary of structured fields with the
// members u (0 … 7) and i (a boolean). What is unknown or out of range is ignored, as
// section 4 asks; p has what holds where the field says nothing.
func parsePriority(b []byte, p priority) priority {
	for b != nil {
		var m []byte
		m, b = message.NextMember(b)
		for i, c := range m {
			if c == ';' { // parameters of a member
				m = message.Trim(m[:i])
				break
			}
		}
		switch {
		case len(m) == 3 && m[0] == 'u' && m[1] == '=' && '0' <= m[2] && m[2] <= '7':
			p.urgency = m[2] - '0'
		case string(m) == "i" || string(m) == "i=?1":
			p.incremental = true
		case string(m) == "i=?0":
			p.incremental = false
		}
	}
	return p
}

func (c *Conn) prioritize(s *Stream, p priority) {
	was := s.is(listed)
	c.unlist(s)
	s.urgency = p.urgency
	s.state &^= incremental
	if p.incremental {
		s.state |= incremental
	}
	if was {
		c.list(s)
	}
}

// earlyPriority is a PRIORITY_UPDATE for a stream that is not open yet.
type earlyPriority struct {
	id uint32
	priority
}

// keepPriority remembers the update for a stream to come (RFC 9218 7.1: as much as we
// like).
func (c *Conn) keepPriority(id uint32, p priority) {
	for i := range c.early {
		if c.early[i].id == id {
			c.early[i].priority = p
			return
		}
	}
	if len(c.early) == keptPriority {
		c.early = c.early[:copy(c.early, c.early[1:])]
	}
	c.early = append(c.early, earlyPriority{id, p})
}

// firstPriority settles the priority of a new stream: an update that came
// before it counts more than its own field (RFC 9218 7.1). A client that says nothing gets its
// responses in turns: of those that do not know RFC 9218, nobody can tell which they need first.
func (c *Conn) firstPriority(s *Stream, field []byte) {
	p := priority{defaultUrgency, true}
	if field != nil {
		p = parsePriority(field, priority{urgency: defaultUrgency})
	}
	for i := 0; i < len(c.early); {
		switch e := c.early[i]; {
		case e.id == s.id:
			p = e.priority
			fallthrough
		case e.id < s.id:
			c.early = append(c.early[:i], c.early[i+1:]...)
		default:
			i++
		}
	}
	if len(c.early) == 0 {
		c.early = nil
	}
	c.prioritize(s, p)
}

// mergePriority lets the application say how urgent its response is (RFC 9218
// section 8): what it says counts, the rest is as the client wants it.
func (c *Conn) mergePriority(s *Stream, r *message.Response) {
	for i := range r.Fields {
		if f := &r.Fields[i]; len(f.Name) == len("priority") && message.EqualFold(f.Name, "priority") {
			c.prioritize(s, parsePriority(f.Value, priority{s.urgency, s.is(incremental)}))
		}
	}
}
