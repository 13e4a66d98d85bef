package cli

import (
	"encoding/json"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/httpsys/httpsys/internal/config"
	"github.com/httpsys/httpsys/internal/control"
)

const urlaclUsage = "usage: httpsys add urlacl url=URL [user=USER]… [listen=yes|no] [delegate=yes|no] [group=GROUP]…"

// A wrong command line is one line on standard error, and status 2. Nothing is
// asked of the daemon.
func TestUsageErrors(t *testing.T) {
	tests := []struct{ line, want string }{
		{"adds", `there is no command "adds": see httpsys help`},
		{"add", "add what? One of urlacl, timeout, setting, cacheparam, iplisten, sslcert, clientcert: see httpsys help add"},
		{"add queue", `there is no command "add queue": add takes urlacl, timeout, setting, cacheparam, iplisten, sslcert, clientcert`},
		{"help adds", `there is no command "adds": see httpsys help`},
		{"help add queue", `there is no command "add queue": see httpsys help`},
		{"show urlacl --xml", "unknown flag: --xml: see httpsys show urlacl --help"},
		{"--socket", "flag needs an argument: --socket: see httpsys --help"},
		{"add urlacl --json url=http://+:80/ user=a", "unknown flag: --json: see httpsys add urlacl --help"},
		{"version 2", `version takes no arguments, but there is "2"`},
		{"serve now", `serve takes no arguments, but there is "now"`},

		{"add urlacl", "add urlacl: url= is missing: " + urlaclUsage},
		{"add urlacl user=alice", "add urlacl: url= is missing: " + urlaclUsage},
		{"add urlacl url=http://+:80/", "add urlacl: user= or group= is missing: " + urlaclUsage},
		{"add urlacl url= user=alice", "add urlacl: url= has no value: " + urlaclUsage},
		{"add urlacl url=http://+:80/ url=http://+:81/ user=alice", "add urlacl: url= is there twice"},
		{"add urlacl url=http://+:80/ usr=alice", "add urlacl has no usr=: " + urlaclUsage},
		{"add urlacl url=http://+:80/ sddl=D:(A;;GX;;;WD)", "add urlacl has no sddl= (rights are given to user= and group= here): " + urlaclUsage},
		{"add urlacl url=http://+:80/ user=alice listen=maybe", `add urlacl: listen is yes or no, not "maybe"`},
		{"add urlacl url=http://+:80/ user=alice listen=no listen=yes", "add urlacl: listen= is there twice for one user or group"},
		{"add urlacl url=http://+:80/ alice", `add urlacl: "alice" stands after a tag=value and needs a tag itself: ` + urlaclUsage},
		{"delete urlacl http://+:80/ alice", `delete urlacl: "alice" is one argument too many: usage: httpsys delete urlacl url=URL`},
		{"show urlacl nonsense=1", "show urlacl has no nonsense=: usage: httpsys show urlacl [url=URL] [--json]"},

		{"add timeout timeouttype=lunchbreak value=1", `add timeout: there is no timeouttype "lunchbreak": use one of ` +
			"idleconnectiontimeout, headerwaittimeout, entitybodytimeout, drainentitybodytimeout, requestqueuetimeout, minsendrate"},
		{"add timeout timeouttype=minsendrate", "add timeout: value= is missing: usage: httpsys add timeout timeouttype=TYPE value=NUMBER|off"},
		{"add timeout timeouttype=headerwaittimeout value=2min", `add timeout: value is a number (decimal, or hexadecimal with 0x), not "2min"`},
		{"add timeout timeouttype=headerwaittimeout value=-1", `add timeout: value is a number (decimal, or hexadecimal with 0x), not "-1"`},
		{"add timeout timeouttype=headerwaittimeout value=0", "add timeout: value of headerwaittimeout is 1 to 65534 secs, or off"},
		{"add timeout timeouttype=headerwaittimeout value=65536", "add timeout: value of headerwaittimeout is 1 to 65534 secs, or off"},
		{"add setting settingtype=maxfields value=off", `add setting: value is a number (decimal, or hexadecimal with 0x), not "off"`},
		{"add setting settingtype=maxfieldlength value=63", "add setting: maxfieldlength is 64 to 65534 bytes: 63 is not possible"},
		{"show servicestate view=client", `show servicestate: there is no view "client": use one of session, requestq`},
		{"show servicestate verbose=1", `show servicestate: there is no verbose "1": use one of yes, no`},
		{"dump all", `dump: "all" is one argument too many: usage: httpsys dump [--json]`},
	}
	m := newMachine(t)
	for _, c := range tests {
		stdout, stderr, status := runCommand(words(c.line)...)
		if strings.HasPrefix(c.line, "show") || strings.HasPrefix(c.line, "add") {
			stdout, stderr, status = m.run(words(c.line)...)
		}
		if stdout != "" || stderr != "httpsys: "+c.want+"\n" || status != 2 {
			t.Errorf("httpsys %s\n got status %d, %q, %s\nwant status 2, nothing, httpsys: %s", c.line, status, stdout, stderr, c.want)
		}
	}
	if len(m.calls) != 0 {
		t.Errorf("the daemon was asked: %v", m.calls)
	}
}

// What the daemon is asked for a command line, and with which parameters.
func TestCalls(t *testing.T) {
	tests := []struct{ line, method, params string }{
		{"add urlacl url=http://+:8080/a/ user=1000", "add urlacl",
			`{"url":"http://+:8080/a/","grants":[{"user":"1000","listen":true,"delegate":false}]}`},
		{"ADD UrlACL USER=1000 URL=http://+:8080/b/ Delegate=YES", "add urlacl",
			`{"url":"http://+:8080/b/","grants":[{"user":"1000","listen":true,"delegate":true}]}`},
		{"add urlacl http://+:8080/c=d/ 1000 no yes 100", "add urlacl",
			`{"url":"http://+:8080/c=d/","grants":[{"user":"1000","listen":false,"delegate":true},{"group":"100","listen":true,"delegate":false}]}`},
		// Rights belong to the user or group before them …
		{"add urlacl url=http://+:8080/e/ user=1 group=2 listen=no delegate=yes user=3", "add urlacl",
			`{"url":"http://+:8080/e/","grants":[{"user":"1","listen":true,"delegate":false},` +
				`{"group":"2","listen":false,"delegate":true},{"user":"3","listen":true,"delegate":false}]}`},
		// … and before the first, to all.
		{"add urlacl delegate=yes url=http://+:8080/f/ user=1 user=2 delegate=no", "add urlacl",
			`{"url":"http://+:8080/f/","grants":[{"user":"1","listen":true,"delegate":true},{"user":"2","listen":true,"delegate":false}]}`},
		{`add urlacl url=http://+:8080/g/ user=\Everyone`, "add urlacl",
			`{"url":"http://+:8080/g/","grants":[{"user":"\\Everyone","listen":true,"delegate":false}]}`},
		{"update urlacl url=http://+:8080/a/ group=0", "update urlacl",
			`{"url":"http://+:8080/a/","grants":[{"group":"0","listen":true,"delegate":false}]}`},
		{"delete urlacl http://+:8080/a/", "delete urlacl", `{"url":"http://+:8080/a/"}`},
		{"show urlacl", "show urlacl", `{}`},
		{"show urlacl url=http://+:8080/b/", "show urlacl", `{"url":"http://+:8080/b/"}`},
		{"add timeout timeouttype=HeaderWaitTimeout value=30", "add timeout", `{"name":"headerwaittimeout","value":30}`},
		{"add timeout headerwaittimeout 0x1E", "add timeout", `{"name":"headerwaittimeout","value":30}`},
		{"add timeout value=off timeouttype=minsendrate", "add timeout", `{"name":"minsendrate","value":0}`},
		{"add timeout timeouttype=minsendrate value=4294967295", "add timeout", `{"name":"minsendrate","value":0}`},
		{"add timeout timeouttype=idleconnectiontimeout value=65535", "add timeout", `{"name":"idleconnectiontimeout","value":0}`},
		{"delete timeout minsendrate", "delete timeout", `{"name":"minsendrate"}`},
		{"show timeout", "show timeout", ``},
		{"add setting settingtype=maxfields value=100", "add setting", `{"name":"maxfields","value":100}`},
		{"delete setting maxfields", "delete setting", `{"name":"maxfields"}`},
		{"show setting", "show setting", ``},
		{"add iplisten ipaddress=127.0.0.1", "add iplisten", `{"ipaddress":"127.0.0.1"}`},
		{"delete iplisten address=127.0.0.1", "delete iplisten", `{"ipaddress":"127.0.0.1"}`},
		{"show iplisten", "show iplisten", ``},
		{"add sslcert 0.0.0.0:443 cert=/a.pem key=/a.key CERT=/b.pem disableTLS12=ENABLE", "add sslcert",
			`{"ipport":"0.0.0.0:443","certs":[{"cert":"/a.pem","key":"/a.key"},{"cert":"/b.pem"}],"disabletls12":true}`},
		{"add sslcert hostnameport=a.example:443 selfsigned=yes clientcertnegotiation=enable verifyclientcertrevocation=disable usagecheck=disable", "add sslcert",
			`{"hostnameport":"a.example:443","selfsigned":true,"clientcertnegotiation":true,"norevocationcheck":true,"nousagecheck":true}`},
		{"add sslcert ccs=443 store=/a", "add sslcert", `{"ccs":"443","store":"/a"}`},
		{"update sslcert ccs=0.0.0.0:443 store=/d/", "update sslcert", `{"ccs":"0.0.0.0:443","store":"/d"}`},
		{"delete sslcert ccs=443", "delete sslcert", `{"ccs":"443"}`},
		{"show sslcert", "show sslcert", `{}`},
		{"show sslcert hostnameport=a.example:443", "show sslcert", `{"hostnameport":"a.example:443"}`},
		{"show ca", "show ca", ``},
		{"show servicestate", "show servicestate", ``},
		{"show servicestate requestq no", "show servicestate", ``},
		{"dump", "dump", ``},
	}
	m := newMachine(t)
	for _, c := range tests {
		if _, stderr, status := m.run(words(c.line)...); status != 0 {
			t.Errorf("httpsys %s: status %d, %s", c.line, status, stderr)
			continue
		}
		if call := m.lastCall(); call.Method != c.method || string(call.Params) != c.params {
			t.Errorf("httpsys %s\n got %s %s\nwant %s %s", c.line, call.Method, call.Params, c.method, c.params)
		}
	}
}

// What the daemon refuses is one line on standard error, and status 1.
func TestRefusals(t *testing.T) {
	m := newMachine(t)
	if _, stderr, status := m.run("add", "urlacl", "http://+:80/", "root"); status != 0 {
		t.Fatal(stderr)
	}
	tests := []struct{ line, want string }{
		{"add urlacl http://+:80/ root", "http://+:80/ is reserved already: change it with httpsys update urlacl"},
		{"delete urlacl http://+:81/", "http://+:81/ is not reserved: see httpsys show urlacl"},
		{"show urlacl http://+:81/", "http://+:81/ is not reserved: see httpsys show urlacl"},
		{"show urlacl http://+:81/ --json", "http://+:81/ is not reserved: see httpsys show urlacl"},
		{"add urlacl http://+:80/app root", `prefix "http://+:80/app" does not end in a slash: write "http://+:80/app/"`},
		{"delete timeout minsendrate", "minsendrate was not set: it has its default of 150 bytes/sec"},
	}
	for _, c := range tests {
		stdout, stderr, status := m.run(words(c.line)...)
		if stdout != "" || stderr != "httpsys: "+c.want+"\n" || status != 1 {
			t.Errorf("httpsys %s\n got status %d, %q, %s\nwant status 1, nothing, httpsys: %s", c.line, status, stdout, stderr, c.want)
		}
	}
}

// Without a daemon the error says how to get one.
func TestNoDaemon(t *testing.T) {
	dir := t.TempDir()
	dead := filepath.Join(dir, "dead")
	l, err := net.Listen("unix", dead)
	if err != nil {
		t.Fatal(err)
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	l.Close()
	for _, path := range []string{dead, filepath.Join(dir, "none"), filepath.Join(dead, "below")} {
		want := "httpsys: no httpsys at " + path + ": start one with `httpsys serve`, or say where it is with --socket or HTTPSYS_SOCKET\n"
		if _, stderr, status := runCommand("show", "urlacl", "--socket", path); stderr != want || status != 1 {
			t.Errorf("status %d\n got %swant %s", status, stderr, want)
		}
		t.Setenv("HTTPSYS_SOCKET", path)
		if _, stderr, status := runCommand("show", "urlacl"); stderr != want || status != 1 {
			t.Errorf("by HTTPSYS_SOCKET: status %d\n got %swant %s", status, stderr, want)
		}
	}
}

// --socket is stronger than the environment.
func TestSocketFlag(t *testing.T) {
	m := newMachine(t)
	t.Setenv("HTTPSYS_SOCKET", "/nowhere")
	if _, stderr, status := m.run("show", "urlacl"); status != 0 {
		t.Errorf("status %d, %s", status, stderr)
	}
	t.Setenv("HTTPSYS_SOCKET", m.socket)
	if _, stderr, status := runCommand("show", "urlacl"); status != 0 {
		t.Errorf("status %d, %s", status, stderr)
	}
}

func TestServe(t *testing.T) {
	t.Setenv("HTTPSYS_SOCKET", "/env/sock")
	for _, c := range []struct{ line, want string }{
		{"serve --data /d", "serve /env/sock /d\n"},
		{"serve --socket /s --data /d", "serve /s /d\n"},
		{"--socket /s serve", "serve /s " + control.DefaultData() + "\n"},
	} {
		if stdout, stderr, status := runCommand(words(c.line)...); stdout != c.want || status != 0 {
			t.Errorf("httpsys %s: status %d, %s%s, want %s", c.line, status, stdout, stderr, c.want)
		}
	}
}

func TestVersion(t *testing.T) {
	if stdout, _, status := runCommand("version"); stdout != "httpsys "+control.Version+"\n" || status != 0 {
		t.Errorf("status %d, %q", status, stdout)
	}
}

// Every command has help that names its arguments, in "help" and as --help.
func TestHelp(t *testing.T) {
	for i := range commands {
		c := &commands[i]
		help, _, status := runCommand(append([]string{"help"}, words(c.name())...)...)
		flag, _, _ := runCommand(append(words(c.name()), "--help")...)
		if status != 0 || help != flag {
			t.Errorf("help %s: status %d; differs from --help:\n%s", c.name(), status, cmp.Diff(help, flag))
		}
		for _, want := range []string{c.short, "httpsys " + c.usageWithVerb(), c.rights} {
			if !strings.Contains(help, want) {
				t.Errorf("help %s does not have %q:\n%s", c.name(), want, help)
			}
		}
		for _, tag := range c.tags {
			if !strings.Contains(help, tag.help) {
				t.Errorf("help %s does not explain %s=", c.name(), tag.name)
			}
		}
	}
	if stdout, _, status := runCommand(); status != 0 || !strings.Contains(stdout, "Available Commands") {
		t.Errorf("httpsys alone: status %d, %s", status, stdout)
	}
}

func TestCompletion(t *testing.T) {
	tests := []struct {
		args []string
		want string // the words, without their explanations
	}{
		{[]string{""}, "add completion delete dump help serve show update version"},
		{[]string{"show", ""}, "ca cacheparam cachestate clientcert iplisten servicestate setting sslcert timeout urlacl"},
		{[]string{"add", "urlacl", ""}, "url= user= listen= delegate= group="},
		{[]string{"add", "urlacl", "url=http://+:80/", "user=alice", ""}, "user= listen= delegate= group="},
		{[]string{"add", "urlacl", "listen="}, "listen=yes listen=no"},
		{[]string{"add", "setting", "settingtype="},
			"settingtype=" + strings.Join(names(config.Settings), " settingtype=")},
		{[]string{"show", "servicestate", "VIEW="}, "view=session view=requestq"},
		{[]string{"help", "add", ""}, "cacheparam clientcert iplisten setting sslcert timeout urlacl"},
	}
	for _, c := range tests {
		stdout, _, _ := runCommand(append([]string{"__complete"}, c.args...)...)
		var got []string
		for _, line := range strings.Split(stdout, "\n") {
			if word, _, _ := strings.Cut(line, "\t"); word != "" && word[0] != ':' {
				got = append(got, word)
			}
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%q\n got %s\nwant %s", c.args, strings.Join(got, " "), c.want)
		}
	}
	for _, shell := range []string{"bash", "zsh", "fish"} {
		if stdout, stderr, status := runCommand("completion", shell); status != 0 || stdout == "" {
			t.Errorf("completion %s: status %d, %s", shell, status, stderr)
		}
	}
}

// Run by a shell on a new machine, the dump of a machine makes the same one.
func TestDumpMakesTheSameMachine(t *testing.T) {
	states := map[string]*config.State{
		"initial": config.Initial(),
		"empty":   {Version: config.Version},
		"full": {
			Version: config.Version,
			URLACL: []config.URLACL{
				{URL: config.TemporaryListenAddresses, Grants: []config.Grant{{User: "1000", Listen: true}}},
				{URL: "http://*:8080/it's a path/", Grants: []config.Grant{{User: "everyone", Listen: true}, {Group: "0", Delegate: true}}},
				{URL: "http://xn--pfel-koa.example:8080/$HOME/`x`/", Grants: []config.Grant{{User: "0", Listen: true, Delegate: true}, {User: "1"}}},
				{URL: "http://[2001:db8::1]:8080/葉/", Grants: []config.Grant{{Group: "1", Listen: true}}},
			},
			Timeouts: map[string]int64{"minsendrate": 0, "headerwaittimeout": 1, "idleconnectiontimeout": 65534},
			Settings: map[string]int64{"maxfields": 8, "maxrequestbytes": 131072},
			IPListen: []string{"::", "192.0.2.1"},
		},
	}
	for name, want := range states {
		t.Run(name, func(t *testing.T) {
			m := newMachine(t)
			var script strings.Builder
			for _, args := range dumpCommands(want) {
				script.WriteString(control.ShellLine(append([]string{"httpsys"}, args...)...) + "\n")
			}
			for _, args := range shellSplit(t, script.String()) {
				if _, stderr, status := m.run(args[1:]...); status != 0 {
					t.Fatalf("%q: %s", args, stderr)
				}
			}
			stdout, _, _ := m.run("dump", "--json")
			var got config.State
			if err := json.Unmarshal([]byte(stdout), &got); err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(want.Clone(), got.Clone()); d != "" {
				t.Errorf("after\n%s(-want +got):\n%s", &script, d)
			}
			if again, _, _ := m.run("dump"); again != script.String() {
				t.Errorf("the dump of the new machine is\n%swant\n%s", again, &script)
			}
		})
	}
}

// shellSplit lets a real shell read a script, and returns the words of each
// command.
func shellSplit(t *testing.T, script string) [][]string {
	t.Helper()
	c := exec.Command("sh", "-c", "httpsys() { printf 'httpsys\\0'; for a; do printf '%s\\0' \"$a\"; done; printf '\\n'; }\n"+script)
	c.Dir, c.Stderr = t.TempDir(), os.Stderr
	out, err := c.Output()
	if err != nil {
		t.Fatal(err)
	}
	var lines [][]string
	for _, line := range strings.Split(strings.TrimSuffix(string(out), "\n"), "\n") {
		if line != "" {
			lines = append(lines, strings.Split(strings.TrimSuffix(line, "\x00"), "\x00"))
		}
	}
	return lines
}

// What programs and administrators name themselves does not reach a terminal
// as control characters.
func TestTerminalsAreSafe(t *testing.T) {
	m := newMachine(t)
	m.state.Sessions[0].Program = "\x1b[2J\nUser: root\u009b"
	m.state.Queues[0].Workers[0].Program = "\x1b]0;x\x07"
	for _, view := range []string{"session", "requestq"} {
		stdout, _, _ := m.run("show", "servicestate", "view="+view)
		if strings.ContainsAny(stdout, "\x1b\x07\u009b") || strings.Contains(stdout, "\nUser: root") {
			t.Errorf("view=%s lets control characters through:\n%q", view, stdout)
		}
	}
	_, stderr, _ := m.run("show", "urlacl", "url=\x1b[2J\nhttpsys: all is well")
	if strings.Count(stderr, "\n") != 1 || strings.Contains(stderr, "\x1b") {
		t.Errorf("an error is not one clean line: %q", stderr)
	}
}

// No command line makes us panic; each gives a status that is documented, and
// each error is one line.
func FuzzCommandLine(f *testing.F) {
	for i := range commands {
		f.Add(commands[i].name() + " url=http://+:80/ user=alice listen=no value=0x10 --json")
		for _, e := range commands[i].examples {
			f.Add(strings.TrimPrefix(e, "httpsys "))
		}
	}
	f.Add("help add urlacl")
	f.Add("__complete add urlacl listen=")
	f.Fuzz(func(t *testing.T, line string) {
		var errs strings.Builder
		p := Program{Stdout: io.Discard, Stderr: &errs}
		args := append([]string{"--socket", "/dev/null/none"}, strings.Split(line, " ")...)
		for _, a := range args {
			if a == "serve" || strings.Contains(a, "socket") && a != "--socket" {
				return // would start a daemon, or ask a real one
			}
		}
		status := p.Run(t.Context(), args)
		if status < 0 || status > 2 {
			t.Errorf("status %d", status)
		}
		if text := errs.String(); status != 0 && (!strings.HasPrefix(text, "httpsys: ") || strings.Count(text, "\n") != 1) {
			t.Errorf("status %d, %q", status, text)
		}
	})
}
