package server

import (
	"github.com/httpsys/httpsys/internal/control"
	"github.com/httpsys/httpsys/internal/wire/channel"
)

func (s *Server) showCacheState(_ Peer, params *control.CacheStateParams) (any, *channel.Error) {
	st, fault := s.engine.CacheState(*params)
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
