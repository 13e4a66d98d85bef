package server

import (
	"errors"
	"net/netip"
	"slices"
	"strings"

	"github.com/httpsys/httpsys/internal/config"
	"github.com/httpsys/httpsys/internal/control"
	"github.com/httpsys/httpsys/internal/wire/channel"
)

// kindOf is one of the tables of numbers, with its place in the state.
type kindOf struct {
	word  string // what one of them is called
	table []config.Setting
	in    func(*config.State) *map[string]int64
}

var (
	timeouts = kindOf{"timeout", config.Timeouts, func(st *config.State) *map[string]int64 { return &st.Timeouts }}
	settings = kindOf{"setting", config.Settings, func(st *config.State) *map[string]int64 { return &st.Settings }}

	cacheParams = kindOf{"cacheparam", config.CacheParams, func(st *config.State) *map[string]int64 { return &st.CacheParams }}
)

func (k kindOf) find(name string) (config.Setting, *channel.Error) {
	if found, ok := config.Find(k.table, name); ok {
		return found, nil
	}
	var names []string
	for _, s := range k.table {
		names = append(names, s.Name)
	}
	if len(names) > 10 { // too many for one line
		names = append(names[:4:4], "…: httpsys show "+k.word+" lists them")
	}
	if name == "" {
		return config.Setting{}, errorf(channel.InvalidParameter, "name of the %s is missing: one of %s", k.word, strings.Join(names, ", "))
	}
	return config.Setting{}, errorf(channel.InvalidParameter, "there is no %s %q: use one of %s", k.word, shorten(name), strings.Join(names, ", "))
}

func (k kindOf) set(s *Server, _ Peer, params *control.NumberParams) (any, *channel.Error) {
	number, fault := k.find(params.Name)
	if fault != nil {
		return nil, fault
	}
	if params.Value == nil {
		return nil, errorf(channel.InvalidParameter, "the value of %s is missing", number.Name)
	}
	if err := number.Check(*params.Value); err != nil {
		return nil, errorf(channel.InvalidParameter, "%s", err)
	}
	return s.changeNumbers(func(st *config.State) *channel.Error {
		m := k.in(st)
		if *m == nil {
			*m = make(map[string]int64)
		}
		(*m)[number.Name] = *params.Value
		return nil
	})
}

func (k kindOf) reset(s *Server, _ Peer, params *control.NumberParams) (any, *channel.Error) {
	number, fault := k.find(params.Name)
	if fault != nil {
		return nil, fault
	}
	if params.Value != nil {
		return nil, errorf(channel.InvalidParameter, "%s gets its default back: a value does not belong here", number.Name)
	}
	return s.changeNumbers(func(st *config.State) *channel.Error {
		m := *k.in(st)
		if _, ok := m[number.Name]; !ok {
			return errorf(channel.NotFound, "%s was not set: it has its default of %d %s", number.Name, number.Default, number.Unit)
		}
		delete(m, number.Name)
		return nil
	})
}

// changeNumbers saves a change and tells it to the engine.
func (s *Server) changeNumbers(edit func(*config.State) *channel.Error) (any, *channel.Error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if fault := s.change(edit); fault != nil {
		return nil, fault
	}
	// Under the lock, so that the engine hears of two changes in their order.
	s.engine.SetLimits(s.state.Limits())
	return control.Empty{}, nil
}

func (s *Server) showTimeout(_ Peer, _ *control.Empty) (any, *channel.Error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return control.TimeoutResult{Timeouts: numbers(config.Timeouts, s.state.Timeouts)}, nil
}

func (s *Server) showSetting(_ Peer, _ *control.Empty) (any, *channel.Error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return control.SettingResult{Settings: numbers(config.Settings, s.state.Settings)}, nil
}

func (s *Server) showCacheParam(_ Peer, _ *control.Empty) (any, *channel.Error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return control.CacheParamResult{CacheParams: numbers(config.CacheParams, s.state.CacheParams)}, nil
}

func numbers(table []config.Setting, set map[string]int64) []control.Number {
	var all []control.Number
	for _, t := range table {
		n := control.Number{Name: t.Name, Value: t.Default, Unit: t.Unit, Default: t.Default}
		if v, ok := set[t.Name]; ok {
			n.Value, n.Set = v, true
		}
		all = append(all, n)
	}
	return all
}

func (s *Server) addIPListen(_ Peer, params *control.IPListenParams) (any, *channel.Error) {
	a, fault := address(params)
	if fault != nil {
		return nil, fault
	}
	return s.changeListen(func(st *config.State) *channel.Error {
		if listed(st, a) >= 0 {
			return errorf(channel.AlreadyExists, "%s is in the listen list already", a)
		}
		st.IPListen = append(st.IPListen, a.String())
		return nil
	})
}

func (s *Server) deleteIPListen(_ Peer, params *control.IPListenParams) (any, *channel.Error) {
	a, fault := address(params)
	if fault != nil {
		return nil, fault
	}
	return s.changeListen(func(st *config.State) *channel.Error {
		i := listed(st, a)
		if i < 0 {
			return errorf(channel.NotFound, "%s is not in the listen list: see httpsys show iplisten", a)
		}
		st.IPListen = slices.Delete(st.IPListen, i, i+1)
		return nil
	})
}

// changeListen changes the listen list, if the ports that are open can be opened
// as it will be.
func (s *Server) changeListen(edit func(*config.State) *channel.Error) (any, *channel.Error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := s.state.Limits().IPListen
	var tried bool
	fault := s.change(func(st *config.State) *channel.Error {
		if fault := edit(st); fault != nil {
			return fault
		}
		err := s.engine.SetListen(st.Limits().IPListen)
		if err != nil {
			code := channel.Internal
			if e := (*channel.Error)(nil); errors.As(err, &e) {
				code = e.Code
			}
			return errorf(code, "nothing was changed: %s", err)
		}
		tried = true
		return nil
	})
	if fault == nil {
		return control.Empty{}, nil
	}
	if tried { // but it could not be saved
		if err := s.engine.SetListen(before); err != nil {
			return nil, errorf(fault.Code, "%s; and until the daemon is restarted it listens as if it had been: %s", fault.Message, err)
		}
	}
	return nil, fault
}

func (s *Server) showIPListen(_ Peer, _ *control.Empty) (any, *channel.Error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return control.IPListenResult{IPListen: append([]string{}, s.state.IPListen...)}, nil
}

// listed returns where a is in the listen list; a file edited by hand may spell
// it in another way.
func listed(st *config.State, a netip.Addr) int {
	return slices.IndexFunc(st.IPListen, func(text string) bool {
		b, err := config.ParseIP(text)
		return err == nil && a == b
	})
}

func address(params *control.IPListenParams) (netip.Addr, *channel.Error) {
	if params.IPAddress == "" {
		return netip.Addr{}, errorf(channel.InvalidParameter, "ipaddress is missing")
	}
	a, err := config.ParseIP(params.IPAddress)
	if err != nil {
		return a, errorf(channel.InvalidParameter, "%s", err)
	}
	return a, nil
}
