package worker

import (
	"github.com/httpsys/httpsys/internal/exchange"
	"github.com/httpsys/httpsys/internal/wire/channel"
)

// This file is DATA of which only a part has come. A socket holds about as much as the longest frame, so most reads of a
// long body end within one. What has come goes on to the client as it lies in the buffer: to wait for the rest would cost a copy of it,
// there and back, and a switch to the application before the client gets anything.

// shortest is from where on a part is passed on. A shorter one costs more as a write of its own than as a copy.
var shortest = 16 << 10 // a variable for tests

// part is a DATA frame that has begun: its header says what of it is still to come.
type part struct {
	channel.Header
	open bool
}

// begin takes the header of a frame of which n bytes have come and the rest has not, if it is one that can be passed on in
// parts: the pieces of a body are only found as a whole. Whatever the parts are, the window is that of the frame.
func (p *part) begin(c *Channel, h channel.Header, n int) (bool, error) {
	if h.Type != channel.Data || h.Flags&channel.FlagPieces != 0 || n < shortest {
		return false, nil
	}
	if int(h.Stream) < len(c.streams) {
		if o := c.streams[h.Stream].x; o != nil && !o.Awake().Takes(int(h.Length)) {
			return false, exchange.ErrWindow
		}
	}
	p.Header, p.open = h, true
	return true, nil
}

// next is what of the frame is to be dealt with now that n bytes are there, as a frame; false: too little.
// What its flags say holds when the last of it has come.
func (p *part) next(n int) (channel.Header, bool) {
	h := p.Header
	if uint32(n) >= h.Length {
		p.open = false
		return h, true
	}
	if n < shortest {
		return h, false
	}
	p.Length -= uint32(n)
	h.Length, h.Flags = uint32(n), 0
	return h, true
}
