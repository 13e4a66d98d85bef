// Package stack knows the servers that are compared: how each is built,
// configured and started. A Stack is a row of a table, one program or several
// that serve a request together ("nginx + net/http"); an Instance is a Stack
// that runs. To add a peer, write a file like haproxy.go and name it in All.
//
// All serve on 127.0.0.1 with one worker (they are pinned to one CPU), with
// keep-alive without a limit of requests, and write no access log.
package stack

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/httpsys/httpsys/bench/internal/load"
	"github.com/httpsys/httpsys/bench/internal/proc"
)

// Hello is the body of the small answer, from every stack.
const Hello = "Hello, World!"

// appLabel is the part of a stack that is the application.
const appLabel = "app"

// Stack is a way to serve requests.
type Stack struct {
	Name  string
	needs []Tool
	start func(*starting) error
}

// The stacks, by the names that tables show.
const (
	Yardstick   = "yardstick"
	YardstickGo = "yardstick in Go"
	Httpsys     = "httpsys"
	Nginx       = "nginx"
	NginxApp    = "nginx + net/http"
	HAProxy     = "HAProxy"
	HAProxyApp  = "HAProxy + net/http"
	H2O         = "h2o"
	H2OApp      = "h2o + net/http"
	Caddy       = "Caddy"
	CaddyApp    = "Caddy + net/http"
	NetHTTP     = "net/http"

	// Beside the others, a front that is for its cache.
	VarnishApp = "Varnish + net/http"
)

// All are the stacks in the order of tables.
var All = []Stack{
	{Yardstick, []Tool{cc}, startYardstick},
	{YardstickGo, nil, startYardstickGo},
	{Httpsys, nil, startHttpsys("")},
	{NginxApp, []Tool{nginx}, behind(startNginx)},
	{HAProxyApp, []Tool{haproxy}, behind(startHAProxy)},
	{H2OApp, []Tool{h2o}, behind(startH2O)},
	{CaddyApp, []Tool{caddy}, behind(startCaddy)},
	{NetHTTP, nil, startNetHTTP},
	{Nginx, []Tool{nginx}, startNginx},
	{HAProxy, []Tool{haproxy}, startHAProxy},
	{H2O, []Tool{h2o}, startH2O},
	{Caddy, []Tool{caddy}, startCaddy},
	{VarnishApp, []Tool{varnish}, behind(startVarnish)},
}

// Against is httpsys as it was at another commit, built from that commit, to be
// compared with the one here.
func Against(revision string) Stack {
	return Stack{Httpsys + " @ " + revision, []Tool{git, tar}, startHttpsys(revision)}
}

// IsHttpsys tells whether the stack is httpsys, here or at a commit.
func (s Stack) IsHttpsys() bool { return strings.HasPrefix(s.Name, Httpsys) }

// Yard are the things that stacks are made from, made once for a run.
type Yard struct {
	Dir    string // of this run, temporary
	Root   string // of the repository
	CPUs   []int  // for servers
	Others []int  // for builds: all there are
	Daemon string // a daemon binary to use instead of building one; may be empty

	built   map[string]build
	cert    string // file with the certificate, once there is one
	key     string // and its key; both is them in one file
	both    string
	started int
}

// Options are what a scenario asks of the programs it measures.
type Options struct {
	File         string // what GET /file gives
	MorePrefixes int    // for httpsys: how many to register besides the one that is used
	TLS          bool   // with a certificate (ECDSA P-256) of the yard
	HTTP2        bool   // over TLS
	Cache        bool   // what the application lets a cache keep, the front keeps; httpsys always does
	Handlers     int    // for httpsys: how many may run at once; 0: as many as it likes
	Relay        bool   // for httpsys: upgraded connections go through the daemon
}

// Instance is a stack that runs.
type Instance struct {
	Name  string
	Host  string      // host:port
	Dir   string      // its own, temporary
	TLS   *tls.Config // for its clients; nil: plain text
	Parts []*proc.Process
	Ready time.Duration // how long it took from its start to its first answer
}

// starting is an instance in the making.
type starting struct {
	*Instance
	ctx      context.Context
	yard     *Yard
	opt      Options
	port     int
	upstream string // the Unix socket of the application behind; empty: there is none
	wait     time.Duration
}

// Start starts a stack and waits until it answers. An error says why the stack
// is not available.
func (y *Yard) Start(ctx context.Context, s Stack, opt Options) (*Instance, error) {
	for _, tool := range s.needs {
		if !tool.There() {
			return nil, fmt.Errorf("%s is not installed (%s)", tool.Program, tool.hint())
		}
	}
	port, err := proc.FreePort()
	if err != nil {
		return nil, err
	}
	y.started++
	in := &Instance{Name: s.Name, Host: "127.0.0.1:" + strconv.Itoa(port), Dir: filepath.Join(y.Dir, strconv.Itoa(y.started))}
	if err := os.Mkdir(in.Dir, 0o755); err != nil {
		return nil, err
	}
	st := &starting{Instance: in, ctx: ctx, yard: y, opt: opt, port: port, wait: 15 * time.Second}
	if opt.TLS {
		if err := y.makeCertificate(); err != nil {
			return nil, err
		}
		in.TLS = clientConfig()
	}
	begin := time.Now()
	if err := s.start(st); err != nil {
		in.Stop()
		return nil, err
	}
	answers := func() error {
		if in.TLS != nil {
			return load.GetTLS(ctx, in.Host, "/hello", in.TLS)
		}
		return load.Get(ctx, in.Host, "/hello")
	}
	if err := proc.Await(ctx, st.wait, answers, in.Parts...); err != nil {
		in.Stop()
		return nil, err
	}
	in.Ready = time.Since(begin)
	return in, nil
}

// Stop ends the programs of the instance, the last first, and removes its folder.
func (in *Instance) Stop() {
	for _, p := range slices.Backward(in.Parts) {
		p.Stop()
	}
	os.RemoveAll(in.Dir)
}

// Front is the program that clients talk to.
func (in *Instance) Front() *proc.Process {
	for _, p := range in.Parts {
		if p.Label != appLabel {
			return p
		}
	}
	return in.Parts[0] // the application alone
}

// Err tells whether one of its programs has ended.
func (in *Instance) Err() error {
	var errs []error
	for _, p := range in.Parts {
		errs = append(errs, p.Err())
	}
	return errors.Join(errs...)
}

// run starts one program of the stack.
func (st *starting) run(label string, env []string, args ...string) (*proc.Process, error) {
	p, err := proc.Start(proc.Command{Label: label, Args: args, Env: env, Dir: st.Dir, CPUs: st.yard.CPUs})
	if err == nil {
		st.Parts = append(st.Parts, p)
	}
	return p, err
}

// write makes a file in the folder of the instance and returns its path.
func (st *starting) write(name, text string) (string, error) {
	path := filepath.Join(st.Dir, name)
	return path, os.WriteFile(path, []byte(text), 0o644)
}

// behind puts the net/http application on a Unix socket behind a proxy.
func behind(front func(*starting) error) func(*starting) error {
	return func(st *starting) error {
		app, err := st.yard.goProgram(st.ctx, "bench", "./apps/nethttpapp")
		if err != nil {
			return err
		}
		st.upstream = filepath.Join(st.Dir, "app.sock")
		p, err := st.run(appLabel, nil, app, "-network", "unix", "-listen", st.upstream, "-file", st.opt.File)
		if err != nil {
			return err
		}
		there := func() error {
			_, err := os.Stat(st.upstream)
			return err
		}
		if err := proc.Await(st.ctx, st.wait, there, p); err != nil {
			return err
		}
		return front(st)
	}
}

// Tool is a program that is not ours.
type Tool struct {
	Program string
	Package string   // Debian's
	Version []string // the command that prints its version
}

// The tools that stacks need. nginx-light is the smallest of Debian's nginx.
var (
	cc      = Tool{"cc", "gcc", []string{"cc", "--version"}}
	git     = Tool{"git", "git", nil}
	tar     = Tool{"tar", "tar", nil}
	nginx   = Tool{"nginx", "nginx-light", []string{"nginx", "-v"}}
	haproxy = Tool{"haproxy", "haproxy", []string{"haproxy", "-v"}}
	h2o     = Tool{"h2o", "h2o", []string{"h2o", "-v"}}
	varnish = Tool{"varnishd", "varnish", []string{"varnishd", "-V"}}
	caddy   = Tool{"caddy", "caddy", []string{"caddy", "version"}}
)

// Tools are those of a stack.
func (s Stack) Tools() []Tool { return s.needs }

// There tells whether the program is installed.
func (t Tool) There() bool {
	_, err := t.path()
	return err == nil
}

// path looks in the folders of system programs too, which are not in everyone's
// PATH.
func (t Tool) path() (string, error) {
	path, err := exec.LookPath(t.Program)
	for _, dir := range []string{"/usr/sbin", "/sbin"} {
		if err == nil {
			break
		}
		path, err = exec.LookPath(filepath.Join(dir, t.Program))
	}
	return path, err
}

// VersionCommand prints the program's version.
func (t Tool) VersionCommand() []string {
	path, err := t.path()
	if err != nil || t.Program != t.Version[0] {
		return t.Version
	}
	return append([]string{path}, t.Version[1:]...)
}

func (t Tool) hint() string { return "Debian: apt-get install " + t.Package }

// FileName makes a name fit for a file.
func FileName(name string) string {
	name = strings.Map(func(r rune) rune {
		if r < 0x80 && (unicode.IsLetter(r) || unicode.IsDigit(r)) || r == '.' {
			return unicode.ToLower(r)
		}
		return '-'
	}, name)
	for strings.Contains(name, "--") {
		name = strings.ReplaceAll(name, "--", "-")
	}
	return strings.Trim(name, "-")
}

// Normal makes names comparable: people type "nginx+net/http".
func Normal(name string) string {
	return strings.ToLower(strings.ReplaceAll(name, " ", ""))
}
