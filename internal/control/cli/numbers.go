package cli

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/httpsys/httpsys/internal/config"
	"github.com/httpsys/httpsys/internal/control"
)

// numberCommands are the commands on timeouts, and those on settings.
type numberCommands struct {
	word        string // of messages
	tag         string // that names one of them
	table       []config.Setting
	addMethod   string
	resetMethod string
}

var (
	timeouts = numberCommands{"Timeout", "timeouttype", config.Timeouts, control.AddTimeout, control.DeleteTimeout}
	settings = numberCommands{"Setting", "settingtype", config.Settings, control.AddSetting, control.DeleteSetting}

	cacheParams = numberCommands{"Cache parameter", "type", config.CacheParams, control.AddCacheParam, control.DeleteCacheParam}
)

func (c numberCommands) add(r *run) error {
	s, err := c.which(r)
	if err != nil {
		return err
	}
	value, err := c.value(r, s)
	if err != nil {
		return err
	}
	if err := r.call(c.addMethod, control.NumberParams{Name: s.Name, Value: &value}, nil); err != nil {
		return err
	}
	return r.done(c.word + " successfully set")
}

func (c numberCommands) delete(r *run) error {
	s, err := c.which(r)
	if err != nil {
		return err
	}
	if err := r.call(c.resetMethod, control.NumberParams{Name: s.Name}, nil); err != nil {
		return err
	}
	return r.done(c.word + " successfully deleted")
}

func (c numberCommands) which(r *run) (config.Setting, error) {
	name, err := r.oneOf(c.tag, "", names(c.table)...)
	if err != nil {
		return config.Setting{}, err
	}
	s, _ := config.Find(c.table, name)
	return s, nil
}

// value reads the new value. The number 0 is refused here although it is what
// "off" is stored as: in HTTP.SYS it means "as before", so nobody can know
// what it is meant to do.
func (c numberCommands) value(r *run, s config.Setting) (int64, error) {
	if s.Off != 0 && strings.EqualFold(r.get("value"), "off") {
		return 0, nil
	}
	n, err := r.number("value")
	if err != nil {
		return 0, err
	}
	if s.Off != 0 {
		if n == s.Off {
			return 0, nil
		}
		if n < s.Min || n > s.Max {
			return 0, usagef("%s: value of %s is %d to %d %s, or off", r.command.name(), s.Name, s.Min, s.Max, s.Unit)
		}
	}
	if err := s.Check(n); err != nil {
		return 0, usagef("%s: %s", r.command.name(), err)
	}
	return n, nil
}

func (r *run) showTimeout() error {
	var result control.TimeoutResult
	if err := r.call(control.ShowTimeout, nil, &result); err != nil {
		return err
	}
	return r.show(result, func(p *printer) { printNumbers(p, "HTTP service timeouts:", config.Timeouts, result.Timeouts) })
}

func (r *run) showSetting() error {
	var result control.SettingResult
	if err := r.call(control.ShowSetting, nil, &result); err != nil {
		return err
	}
	return r.show(result, func(p *printer) { printNumbers(p, "HTTP service settings:", config.Settings, result.Settings) })
}

func (r *run) showCacheParam() error {
	var result control.CacheParamResult
	if err := r.call(control.ShowCacheParam, nil, &result); err != nil {
		return err
	}
	return r.show(result, func(p *printer) {
		printNumbers(p, "HTTP service cache parameters:", config.CacheParams, result.CacheParams)
	})
}

func printNumbers(p *printer, heading string, table []config.Setting, numbers []control.Number) {
	p.heading(heading)
	for _, n := range numbers {
		label := n.Name // of a daemon that knows more than this program
		if s, ok := config.Find(table, n.Name); ok {
			label = s.Label
		}
		value := numberText(table, n.Name, n.Value)
		if n.Set {
			value += fmt.Sprintf(" (default %d)", n.Default)
		}
		p.line(1, "%-36s: %s", label+" ("+n.Unit+")", value)
	}
	p.blank()
}

// numberText writes a value as the commands take it.
func numberText(table []config.Setting, name string, value int64) string {
	if s, ok := config.Find(table, name); ok && s.Off != 0 && value == 0 {
		return "off"
	}
	return strconv.FormatInt(value, 10)
}
