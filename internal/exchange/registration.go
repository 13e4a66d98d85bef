package exchange

import (
	"sync/atomic"
	"time"

	"github.com/httpsys/httpsys/internal/cache"
	"github.com/httpsys/httpsys/internal/prefix"
	"github.com/httpsys/httpsys/internal/queue"
)

// Queue is a request queue of exchanges.
type Queue = queue.Queue[*Exchange]

// Lane is the part of a Queue that belongs to one loop.
type Lane = queue.Lane[*Exchange]

// Registration is a URL prefix bound to a queue. It is immutable but for its
// settings.
type Registration struct {
	ID       uint32
	Prefix   prefix.Prefix
	URL      string
	Queue    *Queue
	Override Override
	Affinity *Affinity    // nil: any worker takes any request
	Space    *cache.Space // what it has in the cache; nil: the cache is not asked
	Compress bool         // responses are compressed where it is worth it and safe
	// TrustedOnly keeps away clients without a trusted certificate.
	TrustedOnly bool

	changed atomic.Pointer[Override] // what came later
}

// Settings is what the registration sets differently from the machine now.
func (r *Registration) Settings() *Override {
	if o := r.changed.Load(); o != nil {
		return o
	}
	return &r.Override
}

// Change changes the settings, for connections and requests from now on.
func (r *Registration) Change(o Override) { r.changed.Store(&o) }

// Override holds what a registration sets differently from the machine; nil
// inherits, 0 is off (docs/channel.md section 3.2).
type Override struct {
	EntityBody, DrainEntityBody, IdleConnection, HeaderWait *time.Duration
	MinSendRate                                             *int64 // bytes per second
	MaxBody                                                 *int64 // bytes
	// OpaqueIdle is after how long without a byte either way a connection in opaque
	// mode is closed. There is no setting of the machine to inherit.
	OpaqueIdle *time.Duration

	BareErrors bool // answers of the daemon itself have no page
	NoHost     bool // HTTP/1.1 requests may come without Host
	Tell       Tell // what the program wants to see of its clients
}

// Router finds the registration for a request. A *prefix.Table is one.
type Router interface {
	Match(s prefix.Scheme, port uint16, authority []byte, local Addr, path []byte) (*Registration, prefix.Outcome)
}
