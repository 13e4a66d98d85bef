package main

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// The scripts are what the daemon and the command promise: one statement each,
// in testdata/script. "exec httpsys …" runs a command as its own process. The
// verbs of ours are in verbs_test.go:
//
//	daemon [as=UID] [FLAG…]                   start the daemon and wait until it is ready; "! daemon": it must fail
//	app NAME [as=UID[:GID…]] tag=value …      start an application (app_test.go) and wait until it is registered;
//	                                          $NAME is its first URL, for a client; "! app": it must be refused
//	halt NAME, crash NAME                     end the daemon or an application with SIGTERM (it must exit 0), SIGKILL
//	event NAME REGEXP                         wait until it prints a line like this, after those that were waited for
//	release NAME                              let the requests go on that an application holds
//	get STATUS URL [Field:value…]             make a request; its head and body are the standard output
//	start REQUEST URL, finish REQUEST STATUS  make a request that takes time, and wait for its end
//	leave REQUEST                             close the client's connection instead
//	closes ADDRESS TEXT                       send bytes, escaped as in Go; the daemon must close the connection
//	as UID[:GID…] COMMAND…                    run a command as another user
//	status N COMMAND…                         run a command that must exit with this status
//	port NAME                                 $NAME is a port that nobody uses
//	issue NAME HOST…                          make NAME.crt and NAME.key for these hosts; requests trust them from then on
//	trust FILE                                requests trust this authority
//	fails URL REGEXP                          make a request, which must fail with such an error
//
// Nothing sleeps: what takes time is waited for, with a deadline.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		Setup:               setup,
		Cmds:                verbs,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Condition: func(name string) (bool, error) {
			if name == "root" {
				return os.Geteuid() == 0, nil
			}
			return false, fmt.Errorf("there is no condition %q", name)
		},
	})
}

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"httpsys":  main,
		"test-app": appMain,
		"test-as":  asMain,
	})
}

// setup gives each script a machine of its own: a socket and a data folder in
// a place that other users can reach, and whose name is short enough for a socket.
func setup(env *testscript.Env) error {
	dir, err := os.MkdirTemp("", "httpsys")
	if err != nil {
		return err
	}
	env.Defer(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		return err
	}
	// The race detector makes every process linger for a second at its end,
	// for what other threads may still report; a script runs dozens.
	env.Setenv("GORACE", "atexit_sleep_ms=0")
	env.Setenv("HTTPSYS_SOCKET", filepath.Join(dir, "sock"))
	env.Setenv("DATA", filepath.Join(dir, "data"))
	m := &machine{processes: map[string]*process{}, requests: map[string]*request{}}
	env.Values[machineKey{}] = m
	env.Defer(func() {
		if races := m.end(); races != "" {
			env.T().Fatal(races)
		}
	})
	return nil
}
