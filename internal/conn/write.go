package conn

import "github.com/httpsys/httpsys/internal/sys"

// Sizes that decide how bytes get to the socket.
const (
	// gather is up to where the parts of a write are copied together: cheaper
	// than a system call with several parts.
	gather = 16 << 10
	// eager is from where on the part of a response that is not the last one is
	// written at once. Shorter ones wait for the end of the turn, since more may
	// come.
	eager = 8 << 10
	// sendFileTurn is how much of a file one turn sends on one connection.
	sendFileTurn = 1 << 20
)

// write sends a, b and c, or keeps what the socket does not take. last says
// that the response is complete with them.
func (c *Conn) write(a, b, d []byte, last bool) {
	if c.closed {
		return
	}
	total := len(a) + len(b) + len(d)
	if c.out != nil && total >= eager && c.tls == nil && c.out.short() {
		c.writeBehind(a, b, d)
		return
	}
	if c.out != nil || !last && total < eager {
		if total > 0 {
			o := c.outbox()
			o.append(&c.s.pool, a)
			o.append(&c.s.pool, b)
			o.append(&c.s.pool, d)
		}
		if last || c.out != nil && c.out.bytes >= eager {
			c.flush()
		} else if c.out != nil {
			c.s.flushLater(c)
		}
		return
	}
	if c.tls != nil {
		if !c.writeTLS(a, b, d) {
			return
		}
		c.proto.settle()
		return
	}
	var n int
	var err error
	if total > 0 {
		if total <= gather {
			if len(b)+len(d) > 0 {
				s := append(append(append(c.s.scratch[:0], a...), b...), d...)
				c.s.scratch = s[:0]
				a, b, d = s, nil, nil
			}
			n, err = sys.Write(c.fd, a, false)
		} else {
			n, err = sys.WriteV(c.fd, false, a, b, d)
		}
		if err != nil && err != sys.ErrAgain {
			c.close()
			return
		}
		c.sent += int64(n)
	}
	if n < total {
		c.putOff(n, a, b, d)
	}
	c.proto.settle()
}

// writeBehind is write for what is long, behind little that waits for the end of the turn: a head, or what was left of a
// frame. One call sends both, and nothing is copied.
func (c *Conn) writeBehind(a, b, d []byte) {
	o := c.out
	ahead := o.segments[0].buf[o.segments[0].at:]
	n, err := sys.WriteV(c.fd, false, ahead, a, b, d)
	if err != nil && err != sys.ErrAgain {
		c.close()
		return
	}
	c.sent += int64(n)
	k := min(n, len(ahead))
	o.took(&c.s.pool, k)
	c.putOff(n-k, a, b, d)
	c.flushed()
}

// putOff keeps what the socket has not taken, from byte n on.
func (c *Conn) putOff(n int, a, b, d []byte) {
	o := c.outbox()
	for _, p := range [...][]byte{a, b, d} {
		k := min(n, len(p))
		n -= k
		o.append(&c.s.pool, p[k:])
	}
}

func (c *Conn) outbox() *outbox {
	if c.out == nil {
		c.out = c.s.pool.outbox()
	}
	return c.out
}

// flush sends what the socket takes.
func (c *Conn) flush() {
	if c.out == nil {
		return
	}
	if c.tls != nil {
		c.flushTLS()
		return
	}
	files := int64(sendFileTurn)
	for o := c.out; len(o.segments) > 0; {
		s := &o.segments[0]
		var n int
		var err error
		if s.run.Body != nil {
			n, err = sys.Write(c.fd, s.run.Head(s.run.Len()), len(o.segments) > 1)
			if err == nil {
				if s.run.From += int64(n); s.run.Len() == 0 {
					o.cost -= s.cost
					o.drop(&c.s.pool)
				}
			}
		} else if s.fd < 0 {
			n, err = sys.Write(c.fd, s.buf[s.at:], len(o.segments) > 1)
			if err == nil {
				o.took(&c.s.pool, n)
			}
		} else {
			if files <= 0 {
				c.flushSoon()
				break
			}
			n, err = sys.SendFile(c.fd, s.fd, s.offset, int(min(s.length, files)))
			if err == nil && n == 0 {
				c.reset() // the file is shorter than was said
				return
			}
			if err == nil {
				files -= int64(n)
				s.offset += int64(n)
				if s.length -= int64(n); s.length == 0 {
					o.cost -= s.cost
					o.drop(&c.s.pool)
				}
			}
		}
		if err == sys.ErrAgain {
			break
		}
		if err != nil {
			c.reset() // perhaps it is the file that cannot be read
			return
		}
		c.sent += int64(n)
	}
	c.flushed()
}

// flushed is called when the socket has taken what it takes.
func (c *Conn) flushed() {
	if len(c.out.segments) == 0 {
		c.out.release(&c.s.pool)
		c.out = nil
	}
	c.proto.settle()
}

// flushSoon goes on with flush in the next turn.
func (c *Conn) flushSoon() {
	if !c.flushing {
		c.flushing = true
		c.s.Loop.Again(flushAgain{c})
	}
}

type flushAgain struct{ c *Conn }

func (f flushAgain) TurnEnd() {
	f.c.flushing = false
	if !f.c.closed {
		f.c.flush()
	}
}
