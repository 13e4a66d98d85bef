package exchange

import (
	"github.com/httpsys/httpsys/internal/prefix"
	"github.com/httpsys/httpsys/internal/wire/message"
)

// This file is for programs that want to see of their clients what the daemon
// deals with alone otherwise (docs/channel.md section 3.6). All of it is for a
// registration that has a port for itself: elsewhere bytes that are no request
// belong to nobody.

// Tell is what a program wants to see.
type Tell uint8

// The words of the parameter tell.
const (
	TellAccepted  Tell = 1 << iota // connections when they come
	TellUnparsed                   // what is not valid HTTP
	TellUpgrade                    // upgrades with something behind their head
	TellAhead                      // that a client sends before it has its answer
	TellPipelined                  // requests with something behind them
)

// Announcer is a Worker that can be told of connections when they come.
type Announcer interface {
	// Announce tells of a connection, if it wants to know and there is room.
	Announce(p Peer, registration uint32)
}

// Announce tells the program that has a port for itself of a connection that
// has come. Where several processes share the prefix nobody knows yet whose
// requests will come, and none is told.
func (s *Stage) Announce(reg *Registration, p Peer) {
	if t, ok := reg.Queue.Lane(s.loop).Only(); ok {
		if a, ok := t.(Announcer); ok {
			a.Announce(p, reg.ID)
		}
	}
}

// MayHandBack says whether the program of reg may have the bytes of a connection
// as they are. Where clients need a certificate below some prefix, each request has
// to be looked at here.
func (s *Stage) MayHandBack(reg *Registration, scheme prefix.Scheme) bool {
	return scheme != prefix.HTTPS || !reg.TrustedOnly && s.Demands.Load() == nil
}

// HandBack gives a connection to the program of reg as one without HTTP. As
// with Begin, c hears of the exchange from then on.
func (s *Stage) HandBack(c Client, reg *Registration, f *Facts) (*Exchange, Refusal) {
	return s.raw(c, reg, &message.Request{}, f)
}

// Ahead tells the worker, once, that the client has sent something behind its
// request.
func (x *Exchange) Ahead() {
	if x.ahead || x.followed {
		return
	}
	x.ahead = true
	if x.worker != nil {
		x.worker.Ahead(x)
	}
}
