package daemon

import (
	"golang.org/x/sys/unix"

	"github.com/httpsys/httpsys/internal/cache"
	"github.com/httpsys/httpsys/internal/conn"
)

// What the cache has if nobody set anything else: an eighth of the memory, but
// not more than that.
const (
	cacheShare   = 8
	maxCache     = 1 << 30
	maxResponse  = 8 << 20
	maxHeuristic = 5 // seconds
)

func cacheLimits() cache.Limits {
	var info unix.Sysinfo_t
	size := int64(maxCache)
	if unix.Sysinfo(&info) == nil {
		size = min(int64(info.Totalram)*int64(info.Unit)/cacheShare, maxCache)
	}
	return cache.Limits{Size: size, Largest: maxResponse, Heuristic: maxHeuristic}
}

// useCache gives the stage of a loop the cache of the machine.
func (d *Daemon) useCache(u *unit) {
	s := u.stage
	s.Cache = d.cache
	s.Unix = u.loop.Unix
	s.Post = func(f func()) { u.loop.Do(f) }
	s.Server = []byte(conn.ServerName)
}
