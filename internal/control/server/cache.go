package server

import (
	"github.com/httpsys/httpsys/internal/control"
	"github.com/httpsys/httpsys/internal/wire/channel"
)

// showCacheState lists what is stored by the caller's own queues; everything for administrators. Queries
// can hold what is nobody else's business.
func (s *Server) showCacheState(peer Peer, params *control.CacheStateParams) (any, *channel.Error) {
	all := s.administrator(peer)
	st, fault := s.engine.CacheState(*params, func(uid uint32) bool { return all || uid == peer.UID })
	if fault != nil {
		return nil, fault
	}
	return st, nil
}

func (s *Server) deleteCache(_ Peer, params *control.DeleteCacheParams) (any, *channel.Error) {
	if params.Recursive && params.URL == "" {
		return nil, errorf(channel.InvalidParameter, "recursive needs a url: without one everything goes anyway")
	}
	n, fault := s.engine.DeleteCache(*params)
	if fault != nil {
		return nil, fault
	}
	return control.DeleteCacheResult{Deleted: n}, nil
}
