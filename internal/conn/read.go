package conn

import "github.com/httpsys/httpsys/internal/sys"

// readTurns bounds how often one turn reads the same connection.
const readTurns = 4

// pump reads while there is something to read and a use for it.
func (c *Conn) pump() {
	for range readTurns {
		if c.closed {
			return
		}
		if !c.readable || !c.lingering && !c.proto.wants() {
			if c.peerClosed && !c.lingering {
				c.proto.clientDone()
			} else if c.readable {
				c.proto.ahead()
			}
			return
		}
		n, err := c.receive(c.s.buf)
		if c.closed {
			return
		}
		if err == sys.ErrAgain {
			continue
		}
		if err != nil {
			c.close()
			return
		}
		if n == 0 {
			c.readable, c.peerClosed = false, true
			if c.lingering {
				c.close()
				return
			}
			c.proto.eof()
			return
		}
		c.input(c.s.buf[:n])
	}
	if c.readable && !c.closed && !c.again {
		c.again = true
		c.s.Loop.Again(pumpAgain{c})
	}
}

type pumpAgain struct{ c *Conn }

func (p pumpAgain) TurnEnd() {
	p.c.again = false
	p.c.pump()
}

// input takes bytes of the client, which are valid only during the call.
func (c *Conn) input(b []byte) {
	if c.lingering {
		return
	}
	if len(c.in) > 0 {
		c.in = append(c.in, b...)
		b = c.in
	}
	c.busy = true
	rest := c.proto.process(b)
	c.busy = false
	if c.lingering {
		rest = nil
	}
	if !c.closed {
		c.keep(rest)
		if len(c.in) > 0 {
			c.proto.ahead()
		}
	}
}

// resume uses what was kept, and then reads on.
func (c *Conn) resume() {
	if c.busy || c.closed {
		return
	}
	if len(c.in) > 0 && c.proto.wants() {
		c.input(nil)
	}
	c.pump()
}

// keep remembers the bytes that are not used yet: a part of c.in, or of the
// loop's buffer.
func (c *Conn) keep(rest []byte) {
	if len(rest) == 0 {
		if c.in != nil {
			c.s.pool.put(c.in)
			c.in = nil
		}
		return
	}
	if c.in == nil {
		c.in = c.s.pool.get(len(rest))
	}
	c.in = append(c.in[:0], rest...)
}
