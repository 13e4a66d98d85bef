package cli

import (
	"reflect"
	"strconv"

	"github.com/httpsys/httpsys/internal/config"
	"github.com/httpsys/httpsys/internal/control"
)

func (r *run) dump() error {
	var result control.DumpResult
	if err := r.call(control.Dump, nil, &result); err != nil {
		return err
	}
	return r.show(result.State, func(p *printer) {
		for _, args := range dumpCommands(result.State) {
			p.line(0, "%s", control.ShellLine(append([]string{"httpsys"}, args...)...))
		}
	})
}

// dumpCommands returns the commands that make state out of the initial one.
func dumpCommands(state *config.State) [][]string {
	var lines [][]string
	// What a new machine has, and this one has not, or not so, goes first.
	initial := config.Initial().URLACL
	for _, a := range initial {
		if !contains(state.URLACL, a) {
			lines = append(lines, []string{"delete", "urlacl", "url=" + a.URL})
		}
	}
	for _, a := range state.URLACL {
		if !contains(initial, a) {
			lines = append(lines, append([]string{"add", "urlacl", "url=" + a.URL}, control.GrantArgs(a.Grants)...))
		}
	}
	lines = append(lines, dumpNumbers("timeout", "timeouttype=", config.Timeouts, state.Timeouts)...)
	lines = append(lines, dumpNumbers("setting", "settingtype=", config.Settings, state.Settings)...)
	lines = append(lines, dumpNumbers("cacheparam", "type=", config.CacheParams, state.CacheParams)...)
	for _, a := range state.IPListen {
		lines = append(lines, []string{"add", "iplisten", "ipaddress=" + a})
	}
	for _, c := range state.SSLCert {
		lines = append(lines, append([]string{"add", "sslcert"}, control.SSLCertArgs(c)...))
	}
	for _, c := range state.ClientCert {
		lines = append(lines, []string{"add", "clientcert", "url=" + c.URL, "require=" + c.Require})
	}
	return lines
}

func dumpNumbers(object, tag string, table []config.Setting, set map[string]int64) [][]string {
	var lines [][]string
	for _, s := range table {
		if n, ok := set[s.Name]; ok {
			value := strconv.FormatInt(n, 10)
			if n == 0 && s.Off != 0 {
				value = "off"
			}
			lines = append(lines, []string{"add", object, tag + s.Name, "value=" + value})
		}
	}
	return lines
}

func contains(all []config.URLACL, a config.URLACL) bool {
	for _, b := range all {
		if reflect.DeepEqual(a, b) {
			return true
		}
	}
	return false
}
