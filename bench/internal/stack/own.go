package stack

import (
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/httpsys/httpsys/bench/internal/proc"
)

func startYardstick(st *starting) error {
	program, err := st.yard.cProgram(st.ctx, "yardstick/epoll.c")
	if err != nil {
		return err
	}
	_, err = st.run("yardstick", nil, program, strconv.Itoa(st.port))
	return err
}

func startYardstickGo(st *starting) error {
	program, err := st.yard.goProgram(st.ctx, "bench", "./yardstick/go")
	if err != nil {
		return err
	}
	_, err = st.run("yardstick", nil, program, strconv.Itoa(st.port))
	return err
}

func startNetHTTP(st *starting) error {
	app, err := st.yard.goProgram(st.ctx, "bench", "./apps/nethttpapp")
	if err != nil {
		return err
	}
	args := []string{app, "-listen", st.Host, "-file", st.opt.File}
	if st.opt.TLS {
		args = append(args, "-cert", st.yard.cert, "-key", st.yard.key)
	}
	_, err = st.run(appLabel, nil, args...)
	return err
}

// startHttpsys starts a daemon and an application, as they are in the tree or as
// they were at a revision.
func startHttpsys(revision string) func(*starting) error {
	return func(st *starting) error {
		root, daemon := st.yard.Root, st.yard.Daemon
		var err error
		if revision != "" {
			daemon = ""
			if root, err = st.yard.copyAt(st.ctx, revision); err != nil {
				return err
			}
		}
		app, err := st.yard.goProgramAt(st.ctx, root, "bench", "./apps/httpsysapp")
		if err != nil {
			return err
		}
		socket, daemon, err := st.startDaemon(root, daemon)
		if err != nil {
			return err
		}
		scheme := "http"
		if st.opt.TLS {
			scheme = "https"
			bind := exec.CommandContext(st.ctx, daemon, "add", "sslcert", "--socket", socket, "ipport="+st.Host, "cert="+st.yard.cert, "key="+st.yard.key)
			if out, err := bind.CombinedOutput(); err != nil {
				return fmt.Errorf("httpsys add sslcert: %w: %s", err, out)
			}
		}
		// Registering takes time in proportion to the number of prefixes.
		st.wait += time.Duration(st.opt.MorePrefixes) * time.Millisecond / 2
		_, err = st.run(appLabel, []string{"HTTPSYS_SOCKET=" + socket}, app, "-prefix", scheme+"://"+st.Host+"/",
			"-more", strconv.Itoa(st.opt.MorePrefixes), "-file", st.opt.File, "-relay="+strconv.FormatBool(st.opt.Relay), "-handlers", strconv.Itoa(st.opt.Handlers))
		return err
	}
}

// startDaemon starts a daemon, built from root unless there is a binary, and gives
// its socket and the binary.
func (st *starting) startDaemon(root, daemon string) (socket, binary string, err error) {
	if daemon == "" {
		if daemon, err = st.yard.goProgramAt(st.ctx, root, ".", "./cmd/httpsys"); err != nil {
			return "", "", err
		}
	}
	socket = filepath.Join(st.Dir, "httpsys.sock")
	p, err := st.run("daemon", nil, daemon, "serve", "--socket", socket, "--data", filepath.Join(st.Dir, "data"))
	if err != nil {
		return "", "", err
	}
	ready := func() error {
		if !strings.Contains(p.Output(), "httpsys: ready on ") {
			return errors.New("the daemon has not said that it is ready")
		}
		return nil
	}
	return socket, daemon, proc.Await(st.ctx, st.wait, ready, p)
}
