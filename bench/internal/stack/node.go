package stack

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
)

// The servers in JavaScript, by the names that tables show.
const (
	NodeHTTP       = "node:http"
	HttpsysNode    = "httpsys, node:http"
	NodeHTTPS      = "node:https"
	HttpsysHTTPS   = "httpsys, node:https"
	Fastify        = "Fastify"
	HttpsysFastify = "httpsys, Fastify"
	Express        = "Express"
	HttpsysExpress = "httpsys, Express"
	HttpsysServe   = "httpsys, serve()"
	Bun            = "Bun"
	Deno           = "Deno"
)

var (
	node = Tool{"node", "nodejs", []string{"node", "--version"}}
	npm  = Tool{"npm", "npm", []string{"npm", "--version"}}
)

// Node are the stacks of the scenario of that name, in the order of its table. The
// program is part "app" in all of them.
var Node = []Stack{
	{NodeHTTP, []Tool{node, npm}, startNode("http", false)},
	{HttpsysNode, []Tool{node, npm}, startNode("http", true)},
	{HttpsysServe, []Tool{node, npm}, startNode("serve", true)},
	{Fastify, []Tool{node, npm}, startNode("fastify", false)},
	{HttpsysFastify, []Tool{node, npm}, startNode("fastify", true)},
	{Express, []Tool{node, npm}, startNode("express", false)},
	{HttpsysExpress, []Tool{node, npm}, startNode("express", true)},
	{Bun, []Tool{node, npm}, startNodeModule("bun", "bun.js")},
	{Deno, []Tool{node, npm}, startNodeModule("deno", "run", "-A", "deno.js")},
}

// NodeTLS are those that serve TLS, with a certificate of the program's own; to be started
// with Options.TLS.
var NodeTLS = []Stack{
	{NodeHTTPS, []Tool{node, npm}, startNode("https", false)},
	{HttpsysHTTPS, []Tool{node, npm}, startNode("https", true)},
}

// nodeApps installs what the programs need, once for each lock file.
func (st *starting) nodeApps() (string, error) {
	dir := filepath.Join(st.yard.Root, "bench", "apps", "node")
	lock, err := os.ReadFile(filepath.Join(dir, "package-lock.json"))
	if err != nil {
		return "", err
	}
	mark := filepath.Join(dir, "node_modules", ".installed")
	if have, err := os.ReadFile(mark); err == nil && bytes.Equal(have, lock) {
		return dir, nil
	}
	c := exec.CommandContext(st.ctx, "npm", "ci", "--no-audit", "--no-fund", "--loglevel=error")
	c.Dir = dir
	if out, err := c.CombinedOutput(); err != nil {
		line, _, _ := bytes.Cut(bytes.TrimSpace(out), []byte("\n"))
		return "", fmt.Errorf("npm ci in bench/apps/node: %w: %s", err, line)
	}
	return dir, os.WriteFile(mark, lock, 0o644)
}

func startNode(kind string, behindDaemon bool) func(*starting) error {
	return func(st *starting) error {
		dir, err := st.nodeApps()
		if err != nil {
			return err
		}
		var env []string
		if st.opt.TLS {
			env = append(env, "BENCH_CERT="+st.yard.cert, "BENCH_KEY="+st.yard.key)
		}
		if behindDaemon {
			socket, _, err := st.startDaemon(st.yard.Root, st.yard.Daemon)
			if err != nil {
				return err
			}
			env = append(env, "HTTPSYS_SOCKET="+socket)
		}
		_, err = st.run(appLabel, env, "node", filepath.Join(dir, "app.js"), kind, strconv.Itoa(st.port))
		return err
	}
}

// startNodeModule starts a program that npm has brought.
func startNodeModule(name string, args ...string) func(*starting) error {
	return func(st *starting) error {
		dir, err := st.nodeApps()
		if err != nil {
			return err
		}
		command := []string{filepath.Join(dir, "node_modules", ".bin", name)}
		for _, a := range args {
			if filepath.Ext(a) == ".js" {
				a = filepath.Join(dir, a)
			}
			command = append(command, a)
		}
		_, err = st.run(appLabel, nil, append(command, strconv.Itoa(st.port))...)
		return err
	}
}
