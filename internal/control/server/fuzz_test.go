package server

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/httpsys/httpsys/internal/config"
	"github.com/httpsys/httpsys/internal/control"
	"github.com/httpsys/httpsys/internal/prefix"
)

// Whatever is called: no panic, a message of one line, and what is in force is
// what was saved, so that a restart changes nothing.
func FuzzCall(f *testing.F) {
	f.Add("add urlacl", `{"url":"http://+:80/a/","grants":[{"user":"0","listen":true}]}`, "delete urlacl", `{"url":"http://+:80/A/"}`)
	f.Add("add urlacl", `{"url":"http://ä:80/a%20b/","grants":[{"user":"everyone"}]}`, "update urlacl", `{"url":"http://Ä:80/a b/","grants":[{"group":"0"}]}`)
	f.Add("add timeout", `{"name":"minsendrate","value":0}`, "delete timeout", `{"name":"minsendrate"}`)
	f.Add("add setting", `{"name":"maxfields","value":8}`, "show setting", ``)
	f.Add("add iplisten", `{"ipaddress":"[::1]"}`, "delete iplisten", `{"ipaddress":"0::1"}`)
	f.Add("dump", `{}`, "show servicestate", `null`)
	f.Fuzz(func(t *testing.T, method1, params1, method2, params2 string) {
		m := newMachine(t, empty())
		m.state = &control.State{}
		for _, call := range [][2]string{{method1, params1}, {method2, params2}, {method1, params1}} {
			if _, fault := m.Call(root, call[0], json.RawMessage(call[1])); fault != nil && strings.ContainsAny(fault.Message, "\r\n") {
				t.Errorf("%q %q: the message is not one line: %q", call[0], call[1], fault.Message)
			}
		}
		if d := cmp.Diff(m.saved, m.Server.state, cmpopts.EquateEmpty()); d != "" {
			t.Fatalf("in force is not what was saved (-saved +in force):\n%s", d)
		}
		reserved := func() map[string][]config.Grant {
			all := map[string][]config.Grant{}
			m.table.Reservations()(func(p prefix.Prefix, r *Reservation) bool {
				all[p.String()] = r.grants
				return true
			})
			return all
		}
		before := reserved()
		m.start()
		if d := cmp.Diff(before, reserved()); d != "" {
			t.Fatalf("after a restart the table is another (-before +after):\n%s", d)
		}
	})
}
