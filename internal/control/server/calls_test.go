package server

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/httpsys/httpsys/internal/config"
	"github.com/httpsys/httpsys/internal/control"
	"github.com/httpsys/httpsys/internal/prefix"
	"github.com/httpsys/httpsys/internal/wire/channel"
)

const app = "http://+:8080/app/"

func TestURLACL(t *testing.T) {
	m := newMachine(t, empty())
	show := func(want string) {
		t.Helper()
		if got := m.must(nobody, "show urlacl", ``); got != want {
			t.Errorf("show urlacl\n got %s\nwant %s", got, want)
		}
	}
	show(`{"urlacl":[]}`)
	m.must(root, "add urlacl", `{"url":"http://+:8080/app/","grants":[{"user":"alice","listen":true}]}`)
	m.must(root, "add urlacl", `{"url":"http://ÄPFEL.example:8080/a%20b/","grants":[{"group":"33","listen":true,"delegate":true}]}`)
	const alices = `{"url":"http://+:8080/app/","grants":[{"user":"alice","listen":true,"delegate":false}]}`
	const apples = `{"url":"http://xn--pfel-koa.example:8080/a b/","grants":[{"group":"33","listen":true,"delegate":true}]}`
	show(`{"urlacl":[` + alices + `,` + apples + `]}`)

	// One of them, however its URL is spelt.
	for _, url := range []string{"http://+:8080/app/", "http://+:8080/APP/"} {
		if got := m.must(nobody, "show urlacl", fmt.Sprintf(`{"url":%q}`, url)); got != `{"urlacl":[`+alices+`]}` {
			t.Errorf("show urlacl url=%s: %s", url, got)
		}
	}

	// All of it survives a restart and takes effect again.
	m.start()
	show(`{"urlacl":[` + alices + `,` + apples + `]}`)
	if m.MayRegister(bob, parseURL(t, app)) == nil || m.MayRegister(alice, parseURL(t, app)) != nil {
		t.Error("after a restart the reservation has no effect")
	}

	m.must(root, "update urlacl", `{"url":"http://+:8080/APP/","grants":[{"user":"\\Everyone","listen":true}]}`)
	show(`{"urlacl":[{"url":"http://+:8080/app/","grants":[{"user":"everyone","listen":true,"delegate":false}]},` + apples + `]}`)
	if fault := m.MayRegister(bob, parseURL(t, app)); fault != nil {
		t.Errorf("after the update: %v", fault)
	}
	m.must(root, "delete urlacl", `{"url":"http://+:8080/App/"}`)
	show(`{"urlacl":[` + apples + `]}`)
	if _, _, ok := m.table.Reservation(parseURL(t, app)); ok {
		t.Error("the deleted reservation is still in the table")
	}
	m.start()
	show(`{"urlacl":[` + apples + `]}`)
}

// Whoever edits the file may spell a prefix in another way than we do.
func TestURLACLInOtherWords(t *testing.T) {
	m := newMachine(t, reserved(t, "http://ÄPFEL.example:8080/%61pp/ user=alice"))
	const url = `"http://xn--pfel-koa.example:8080/app/"`
	want := `{"urlacl":[{"url":` + url + `,"grants":[{"user":"alice","listen":true,"delegate":false}]}]}`
	if got := m.must(root, "show urlacl", `{"url":`+url+`}`); got != want {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
	m.must(root, "update urlacl", `{"url":`+url+`,"grants":[{"user":"bob","listen":true}]}`)
	m.must(root, "delete urlacl", `{"url":`+url+`}`)
	if len(m.saved.URLACL) != 0 {
		t.Errorf("saved: %v", m.saved.URLACL)
	}
}

func TestURLACLFaults(t *testing.T) {
	const alice = `"grants":[{"user":"alice","listen":true}]`
	tests := []struct {
		method, params string
		code           channel.Code
		want           string
	}{
		{"add urlacl", `{"url":"http://+:8080/app/",` + alice + `}`, channel.AlreadyExists,
			"http://+:8080/app/ is reserved already: change it with httpsys update urlacl"},
		{"add urlacl", `{"url":"http://+:8080/APP/",` + alice + `}`, channel.AlreadyExists,
			"http://+:8080/APP/ is reserved already: change it with httpsys update urlacl"},
		{"add urlacl", `{"url":"https://*:8080/",` + alice + `}`, channel.InvalidParameter,
			"https://*:8080/ cannot be reserved: port 8080 is used with another scheme"},
		{"add urlacl", `{` + alice + `}`, channel.InvalidParameter, "url is missing"},
		{"add urlacl", `{"url":"http://+:80",` + alice + `}`, channel.InvalidParameter,
			`prefix "http://+:80" does not end in a slash: write "http://+:80/"`},
		{"add urlacl", `{"url":"http://+:0/",` + alice + `}`, channel.InvalidParameter,
			"http://+:0/ has port 0, which asks for any free port: nothing can be reserved there"},
		{"add urlacl", `{"url":"http://+:80/"}`, channel.InvalidParameter, "a reservation needs at least one user or group"},
		{"add urlacl", `{"url":"http://+:80/","grants":[{"listen":true}]}`, channel.InvalidParameter, "a grant names either a user or a group"},
		{"add urlacl", `{"url":"http://+:80/","grants":[{"user":"alice"},{"user":"alice"}]}`, channel.InvalidParameter, "alice is named twice"},
		{"add urlacl", `{"url":"http://+:80/","grants":[{"user":"alcie","listen":true}]}`, channel.InvalidParameter,
			`there is no user "alcie" on this machine`},
		{"add urlacl", `{"url":"http://+:80/","grants":[{"group":"bob","listen":true}]}`, channel.InvalidParameter,
			`there is no group "bob" on this machine`},
		{"update urlacl", `{"url":"http://+:80/",` + alice + `}`, channel.NotFound, "http://+:80/ is not reserved: see httpsys show urlacl"},
		{"update urlacl", `{"url":"http://+:8080/app/x/",` + alice + `}`, channel.NotFound,
			"http://+:8080/app/x/ is not reserved: see httpsys show urlacl"},
		{"delete urlacl", `{"url":"http://+:8080/"}`, channel.NotFound, "http://+:8080/ is not reserved: see httpsys show urlacl"},
		{"delete urlacl", `{"url":"http://+:8080/app/",` + alice + `}`, channel.InvalidParameter,
			"a reservation is deleted as a whole: grants do not belong here"},
		{"show urlacl", `{"url":"http://+:8080/"}`, channel.NotFound, "http://+:8080/ is not reserved: see httpsys show urlacl"},
	}
	m := newMachine(t, reserved(t, app+" user=alice"))
	for _, c := range tests {
		m.wantFault(root, c.method, c.params, c.code, c.want)
	}
	if m.saves != 0 {
		t.Errorf("%d refused calls were saved", m.saves)
	}
	if got := m.must(root, "show urlacl", ``); got != `{"urlacl":[{"url":"http://+:8080/app/","grants":[{"user":"alice","listen":true,"delegate":false}]}]}` {
		t.Errorf("refused calls changed something: %s", got)
	}
}

// What cannot be saved does not happen: otherwise it would be gone after the
// next restart without anybody knowing.
func TestNothingHappensUnsaved(t *testing.T) {
	m := newMachine(t, reserved(t, app+" user=alice"))
	m.broken = errors.New("cannot write the configuration /var/lib/httpsys/config.json: no space left on device")
	const want = "nothing was changed: cannot write the configuration /var/lib/httpsys/config.json: no space left on device"
	limits := len(m.limits)
	for _, c := range []struct{ method, params string }{
		{"add urlacl", `{"url":"http://+:8080/new/","grants":[{"user":"bob","listen":true}]}`},
		{"update urlacl", `{"url":"http://+:8080/app/","grants":[{"user":"bob","listen":true}]}`},
		{"delete urlacl", `{"url":"http://+:8080/app/"}`},
		{"add timeout", `{"name":"headerwaittimeout","value":1}`},
		{"add iplisten", `{"ipaddress":"192.0.2.1"}`},
	} {
		m.wantFault(root, c.method, c.params, channel.Internal, want)
	}
	if fault := m.MayRegister(bob, parseURL(t, app)); fault == nil {
		t.Error("the update took effect")
	}
	if got := m.must(nobody, "show timeout", ``); strings.Contains(got, `"set":true`) {
		t.Errorf("a timeout that was not saved is shown: %s", got)
	}
	if fault := m.MayRegister(bob, parseURL(t, "http://+:8080/new/")); fault != nil {
		t.Errorf("the reservation that was not made has an effect: %v", fault)
	}
	if len(m.limits) != limits {
		t.Error("the engine was told of numbers that were not saved")
	}
	// When the disk has room again, everything is possible.
	m.broken = nil
	m.must(root, "add urlacl", `{"url":"http://+:8080/new/","grants":[{"user":"bob","listen":true}]}`)
}

// Each number that is listed reaches the engine, survives a restart, and gets
// its default back.
func TestNumbers(t *testing.T) {
	for _, kind := range []struct {
		object string
		table  []config.Setting
	}{{"timeout", config.Timeouts}, {"setting", config.Settings}} {
		for _, s := range kind.table {
			m := newMachine(t, empty())
			value := max(s.Min, s.Default-1)
			m.must(root, "add "+kind.object, fmt.Sprintf(`{"name":%q,"value":%d}`, s.Name, value))
			wantState := empty()
			if kind.object == "timeout" {
				wantState.Timeouts = map[string]int64{s.Name: value}
			} else {
				wantState.Settings = map[string]int64{s.Name: value}
			}
			check := func(when string, want config.Limits) {
				t.Helper()
				if d := cmp.Diff(want, m.limits[len(m.limits)-1], cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); d != "" {
					t.Errorf("%s, %s (-want +got):\n%s", s.Name, when, d)
				}
			}
			check("set", wantState.Limits())
			line := fmt.Sprintf(`{"name":%q,"value":%d,"unit":%q,"default":%d,"set":true}`, s.Name, value, s.Unit, s.Default)
			if got := m.must(nobody, "show "+kind.object, ``); !strings.Contains(got, line) {
				t.Errorf("show %s: %s\ndoes not have %s", kind.object, got, line)
			}
			m.start()
			check("after a restart", wantState.Limits())
			m.must(root, "delete "+kind.object, fmt.Sprintf(`{"name":%q}`, s.Name))
			check("deleted", config.DefaultLimits())
			m.wantFault(root, "delete "+kind.object, fmt.Sprintf(`{"name":%q}`, s.Name), channel.NotFound,
				fmt.Sprintf("%s was not set: it has its default of %d %s", s.Name, s.Default, s.Unit))
		}
	}
}

func TestTimeoutOff(t *testing.T) {
	m := newMachine(t, empty())
	m.must(root, "add timeout", `{"name":"headerwaittimeout","value":0}`)
	if got := m.limits[len(m.limits)-1].HeaderWait; got != 0 {
		t.Errorf("HeaderWait is %v, want 0", got)
	}
	if got := m.Limits().IdleConnection; got != 120*time.Second {
		t.Errorf("IdleConnection is %v", got)
	}
}

func TestNumberFaults(t *testing.T) {
	m := newMachine(t, empty())
	tests := []struct{ method, params, want string }{
		{"add timeout", `{}`, "name of the timeout is missing: one of idleconnectiontimeout, headerwaittimeout, " +
			"entitybodytimeout, drainentitybodytimeout, requestqueuetimeout, minsendrate"},
		{"add setting", `{"name":"sslthrottle","value":1}`, `there is no setting "sslthrottle": use one of maxfieldlength, ` +
			"maxrequestbytes, maxtargetlength, maxfields, …: httpsys show setting lists them"},
		{"add timeout", `{"name":"headerwaittimeout"}`, "the value of headerwaittimeout is missing"},
		{"add timeout", `{"name":"headerwaittimeout","value":65535}`, "headerwaittimeout is 1 to 65534 secs, or 0 for off: 65535 is not possible"},
		{"add setting", `{"name":"maxfields","value":0}`, "maxfields is 8 to 4096 fields: 0 is not possible"},
		{"delete timeout", `{"name":"headerwaittimeout","value":1}`, "headerwaittimeout gets its default back: a value does not belong here"},
	}
	for _, c := range tests {
		m.wantFault(root, c.method, c.params, channel.InvalidParameter, c.want)
	}
}

func TestIPListen(t *testing.T) {
	m := newMachine(t, empty())
	m.must(root, "add iplisten", `{"ipaddress":"192.0.2.1"}`)
	m.must(root, "add iplisten", `{"ipaddress":"[2001:DB8:0::1]"}`)
	m.must(root, "add iplisten", `{"ipaddress":"::"}`)
	if got := m.must(nobody, "show iplisten", ``); got != `{"iplisten":["192.0.2.1","2001:db8::1","::"]}` {
		t.Errorf("show iplisten: %s", got)
	}
	want := []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1"), netip.IPv6Unspecified()}
	if got := m.listen; fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("the engine was told %v, want %v", got, want)
	}
	m.wantFault(root, "add iplisten", `{"ipaddress":"2001:db8::1"}`, channel.AlreadyExists, "2001:db8::1 is in the listen list already")
	m.wantFault(root, "add iplisten", `{"ipaddress":"::ffff:192.0.2.1"}`, channel.AlreadyExists, "192.0.2.1 is in the listen list already")
	m.wantFault(root, "add iplisten", `{"ipaddress":"localhost"}`, channel.InvalidParameter,
		`"localhost" is not an IP address (like 192.0.2.1, 2001:db8::1, 0.0.0.0 or ::)`)
	m.wantFault(root, "add iplisten", ``, channel.InvalidParameter, "ipaddress is missing")
	m.wantFault(root, "delete iplisten", `{"ipaddress":"192.0.2.2"}`, channel.NotFound, "192.0.2.2 is not in the listen list: see httpsys show iplisten")
	m.must(root, "delete iplisten", `{"ipaddress":"2001:db8::1"}`)

	// What cannot be opened, or not be saved, changes nothing.
	kept := fmt.Sprint(m.listen)
	m.listenFails = &channel.Error{Code: channel.AddressNotAvailable, Message: "this machine does not have the address 192.0.2.9"}
	m.wantFault(root, "add iplisten", `{"ipaddress":"192.0.2.9"}`, channel.AddressNotAvailable, "nothing was changed: this machine does not have the address 192.0.2.9")
	m.listenFails, m.broken = nil, errors.New("the disk is full")
	m.wantFault(root, "add iplisten", `{"ipaddress":"192.0.2.9"}`, channel.Internal, "nothing was changed: the disk is full")
	m.broken = nil
	if got := fmt.Sprint(m.listen); got != kept {
		t.Errorf("the engine listens on %s, want %s", got, kept)
	}
	m.start()
	if got := m.must(nobody, "show iplisten", ``); got != `{"iplisten":["192.0.2.1","::"]}` {
		t.Errorf("after a restart: %s", got)
	}
}

// Everything that changes the machine as a whole is for administrators.
func TestWhoMayCall(t *testing.T) {
	params := map[string]string{
		"add timeout":    `{"name":"headerwaittimeout","value":5}`,
		"delete timeout": `{"name":"headerwaittimeout"}`,
		"add setting":    `{"name":"maxfields","value":50}`,
		"delete setting": `{"name":"maxfields"}`,
		"add cacheparam": `{"name":"maxcachesize","value":0}`, "delete cacheparam": `{"name":"maxcachesize"}`, "delete cache": `{"tag":"x"}`,
		"add iplisten": `{"ipaddress":"192.0.2.1"}`, "delete iplisten": `{"ipaddress":"192.0.2.1"}`,
		"add sslcert": `{"ipport":"0.0.0.0:443","selfsigned":true}`, "update sslcert": `{"ipport":"0.0.0.0:443","selfsigned":true,"appid":"x"}`,
		"delete sslcert": `{"ipport":"0.0.0.0:443"}`,
		"add clientcert": `{"url":"https://+:443/admin/"}`, "delete clientcert": `{"url":"https://+:443/ADMIN/"}`,
	}
	m := newMachine(t, empty())
	m.state = &control.State{}
	m.must(root, "add sslcert", `{"ipport":"127.0.0.1:443","selfsigned":true}`) // there is no authority to show without it
	for method := range methods {
		if p, ok := params[method]; ok {
			m.wantFault(alice, method, p, channel.AccessDenied, "only an administrator (root or service) may do this: "+method)
			continue
		}
		if strings.HasPrefix(method, "show ") || method == "dump" {
			m.must(nobody, method, ``)
		} else if !strings.HasSuffix(method, " urlacl") {
			t.Errorf("%s is not in this test", method)
		}
	}
	for _, admin := range []Peer{root, service} {
		for _, verb := range []string{"add", "delete"} {
			for _, object := range []string{"timeout", "setting", "cacheparam", "iplisten", "sslcert", "clientcert"} {
				m.must(admin, verb+" "+object, params[verb+" "+object])
			}
		}
	}
}

func TestCacheCalls(t *testing.T) {
	m := newMachine(t, empty())
	if got := m.must(root, "delete cache", ``); got != `{"deleted":3}` {
		t.Errorf("delete cache: %s", got)
	}
	m.wantFault(root, "delete cache", `{"recursive":true}`, channel.InvalidParameter, "recursive needs a url: without one everything goes anyway")
	// What is stored is shown to administrators and to whose queue stores it.
	for peer, want := range map[string]string{"root": `"count":3,`, "nobody": `"count":0,`, "alice": `"count":1,`} {
		p := map[string]Peer{"root": root, "nobody": nobody, "alice": {UID: 1001, Groups: func() []uint32 { return nil }}}[peer]
		if got := m.must(p, "show cachestate", ``); !strings.Contains(got, want) {
			t.Errorf("show cachestate to %s: %s", peer, got)
		}
	}
	m.must(root, "add cacheparam", `{"name":"maxcacheresponsesize","value":4096}`)
	if l := m.limits[len(m.limits)-1]; l.CacheLargest != 4096 || l.CacheSize != config.DefaultCacheSize {
		t.Errorf("the engine was told %+v", l)
	}
	m.wantFault(root, "add cacheparam", `{"name":"maxcacheresponsesize","value":0}`, channel.InvalidParameter,
		"maxcacheresponsesize is 1 to 4294967296 bytes: 0 is not possible")
	m.start()
	if got := m.must(nobody, "show cacheparam", ``); !strings.Contains(got, `{"name":"maxcacheresponsesize","value":4096,"unit":"bytes","default":8388608,"set":true}`) {
		t.Errorf("after a restart: %s", got)
	}
}

func TestClientCert(t *testing.T) {
	m := newMachine(t, empty())
	m.must(root, "add clientcert", `{"url":"https://+:443/admin/"}`)
	m.must(root, "add clientcert", `{"url":"https://WWW.example:8443/","require":"trusted"}`)
	want := []config.ClientCertPolicy{{URL: "https://+:443/admin/", Require: "trusted"}, {URL: "https://www.example:8443/", Require: "trusted"}}
	if d := cmp.Diff(want, m.saved.ClientCert); d != "" {
		t.Error(d)
	}
	if len(m.demands) != 2 || m.demands[1].String() != want[1].URL {
		t.Errorf("in force: %v", m.demands)
	}
	for _, c := range []struct {
		method, params string
		code           channel.Code
		text           string
	}{
		{"add clientcert", `{"url":"https://+:443/Admin/"}`, channel.AlreadyExists, "https://+:443/Admin/ demands client certificates already"},
		{"add clientcert", `{"url":"http://+:80/"}`, channel.InvalidParameter, "http://+:80/ is not https: only there clients have certificates"},
		{"add clientcert", `{}`, channel.InvalidParameter, "url is missing"},
		{"add clientcert", `{"url":"https://+:1/","require":"any"}`, channel.InvalidParameter, `clientcert: https://+:1/: require is "trusted", not "any"`},
		{"delete clientcert", `{"url":"https://+:443/"}`, channel.NotFound, "https://+:443/ demands no client certificates: see httpsys show clientcert"},
		{"show clientcert", `{"url":"https://+:443/"}`, channel.NotFound, "https://+:443/ demands no client certificates: see httpsys show clientcert"},
	} {
		m.wantFault(root, c.method, c.params, c.code, c.text)
	}
	m.must(root, "delete clientcert", `{"url":"https://+:443/ADMIN/"}`)
	if len(m.demands) != 1 || len(m.saved.ClientCert) != 1 {
		t.Errorf("left: %v, %v", m.demands, m.saved.ClientCert)
	}
	m.broken = errors.New("no space")
	if _, fault := m.Call(root, "delete clientcert", json.RawMessage(`{"url":"https://www.example:8443/"}`)); fault == nil || len(m.demands) != 1 {
		t.Errorf("not saved and in force: %v, %v", fault, m.demands)
	}
}

// A demand that cannot be read must not be none.
func TestClientCertConfiguration(t *testing.T) {
	state := empty()
	state.ClientCert = []config.ClientCertPolicy{{URL: "http://+:80/", Require: "trusted"}}
	if _, err := New(&machine{saved: state}, &machine{}); err == nil || !strings.Contains(err.Error(), "clientcert") {
		t.Errorf("%v", err)
	}
}

func TestMalformedCalls(t *testing.T) {
	m := newMachine(t, empty())
	tests := []struct {
		method, params string
		code           channel.Code
		want           string
	}{
		{"add", ``, channel.Unsupported, `this httpsys has no method "add"`},
		{strings.Repeat("x", 1000), ``, channel.Unsupported, `this httpsys has no method "` + strings.Repeat("x", 200) + `…"`},
		{"add urlacl", `[]`, channel.InvalidParameter, "the parameters of the call are wrong: json: cannot unmarshal array into Go value of type control.URLACLParams"},
		{"add urlacl", `{"url":1}`, channel.InvalidParameter, "the parameters of the call are wrong: url cannot be a JSON number"},
		{"add urlacl", `{"url":"http://+:80/","grants":[{"user":"alice","listen":true,"until":"noon"}]}`, channel.InvalidParameter,
			`the parameters of the call are wrong: json: unknown field "until"`},
		{"add urlacl", `{} {}`, channel.InvalidParameter, "the parameters of the call are wrong: more than one value"},
		{"add timeout", `{"name":"headerwaittimeout","value":1.5}`, channel.InvalidParameter,
			"the parameters of the call are wrong: value cannot be a JSON number 1.5"},
	}
	for _, c := range tests {
		m.wantFault(root, c.method, c.params, c.code, c.want)
	}
}

func TestServiceState(t *testing.T) {
	m := newMachine(t, empty())
	m.wantFault(root, "show servicestate", ``, channel.Internal, "no snapshot of the service: the loops are gone")
	m.must(root, "add timeout", `{"name":"minsendrate","value":0}`)
	m.state = &control.State{Queues: []control.Queue{{Name: "q"}}}
	want := `{"queues":[{"name":"q","owner":"","state":"","length":0,"limit":0,"prefixes":[],"cache":[],"workers":[],` +
		`"counters":{"requests":0,"rejected":0,"cancelled":0,"oldest_ms":0,"expired":0,"relayed":0,"handed_over":0},"owner_uid":0,"private":false,"max_age_ms":0,"relaying":0,"opaque_limit":0}],` +
		`"ports":[],"listeners":[],"sessions":[],"daemon":{"version":"","pid":0,"uptime_ms":0,"loops":0},` +
		`"http2":{"connections":0,"streams":0,"streams_at_rest":0,"client_resets":0,"server_resets":0,"hidden_requests":0,"ended":{}},"tls":{"handshakes":0,"resumed":0,"failed":{}},` +
		`"timeouts":{"drainentitybodytimeout":120,"entitybodytimeout":120,"headerwaittimeout":120,` +
		`"idleconnectiontimeout":120,"minsendrate":0,"requestqueuetimeout":120}}`
	if got := m.must(nobody, "show servicestate", `{}`); got != want {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
}

// A configuration that cannot be applied stops the daemon with a line that
// names the entry; nothing is dropped from it.
func TestUnusableConfiguration(t *testing.T) {
	tests := []struct {
		lines []string
		want  string
	}{
		{[]string{"http://+:80 user=root"},
			`configuration: reservation http://+:80: prefix "http://+:80" does not end in a slash: write "http://+:80/"`},
		{[]string{"http://+:80/a/ user=root", "http://+:80/A/ user=root"},
			"configuration: reservation http://+:80/A/: " + prefix.ErrExists.Error()},
		{[]string{"http://+:80/ user=root", "https://*:80/ user=root"},
			"configuration: reservation https://*:80/: " + prefix.ErrSchemeConflict.Error()},
	}
	for _, c := range tests {
		m := &machine{t: t, saved: reserved(t, c.lines...)}
		if _, err := New(m, m); err == nil || err.Error() != c.want {
			t.Errorf("got %v\nwant %s", err, c.want)
		}
		if m.saves != 0 {
			t.Error("the configuration was replaced")
		}
	}
}

// An account that has gone does not keep the daemon from starting.
func TestUnknownAccountsAtStart(t *testing.T) {
	m := newMachine(t, reserved(t, app+" user=dave"))
	if m.MayRegister(bob, parseURL(t, app)) == nil {
		t.Error("the reservation has no effect")
	}
}

// The shipped reservation: everybody has a place on port 80.
func TestTemporaryListenAddresses(t *testing.T) {
	m := newMachine(t, config.Initial())
	if fault := m.MayRegister(nobody, parseURL(t, config.TemporaryListenAddresses+"x/")); fault != nil {
		t.Error(fault)
	}
	if m.MayRegister(nobody, parseURL(t, "http://+:80/")) == nil {
		t.Error("all of port 80 is free")
	}
}

// dump is the whole state, which by itself makes the same machine.
func TestDump(t *testing.T) {
	m := newMachine(t, reserved(t, app+" user=alice delegate=yes group=www listen=no"))
	m.must(root, "add timeout", `{"name":"minsendrate","value":0}`)
	m.must(root, "add setting", `{"name":"maxfields","value":50}`)
	m.must(root, "add iplisten", `{"ipaddress":"::1"}`)
	result, fault := m.Call(nobody, "dump", nil)
	if fault != nil {
		t.Fatal(fault)
	}
	if d := cmp.Diff(m.saved, result.(control.DumpResult).State); d != "" {
		t.Errorf("dump is not what was saved (-saved +dumped):\n%s", d)
	}
}

// Callers and changes at the same time: run with -race.
func TestConcurrentUse(t *testing.T) {
	m := newMachine(t, config.Initial())
	m.state = &control.State{}
	done := make(chan bool)
	for i := range 4 {
		go func() {
			defer func() { done <- true }()
			url := fmt.Sprintf("http://+:8080/%d/", i)
			for range 50 {
				m.Call(root, "add urlacl", []byte(fmt.Sprintf(`{"url":%q,"grants":[{"user":"alice","listen":true}]}`, url)))
				m.MayRegister(alice, parseURL(t, url))
				m.Call(root, "update urlacl", []byte(fmt.Sprintf(`{"url":%q,"grants":[{"user":"bob","listen":true}]}`, url)))
				m.Call(root, "show urlacl", nil)
				m.Call(root, "add timeout", []byte(`{"name":"headerwaittimeout","value":9}`))
				m.Call(root, "delete urlacl", []byte(fmt.Sprintf(`{"url":%q}`, url)))
			}
		}()
	}
	for range 4 {
		<-done
	}
	if d := cmp.Diff(config.Initial().URLACL, m.saved.URLACL); d != "" {
		t.Errorf("what is left (-want +got):\n%s", d)
	}
	n := 0
	for range m.table.Reservations() {
		n++
	}
	if n != 1 {
		t.Errorf("%d reservations are left in the table, want 1", n)
	}
}
