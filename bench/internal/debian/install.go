// Package debian installs what a benchmark needs from Debian's packages,
// without letting any of them start a service.
package debian

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
)

// policy is the script that Debian asks before a package starts or stops a
// service; 101 means no. Administrators and images have their own at times.
const policy = "/usr/sbin/policy-rc.d"

// refuse is ours, there only while packages are installed.
const refuse = "#!/bin/sh\n# Temporary: the benchmarks of httpsys install programs, not services.\nexit 101\n"

// Command is what a person would type to install packages.
func Command(packages []string) string {
	return "apt-get install --no-install-recommends " + strings.Join(packages, " ")
}

// Install installs packages. It needs root.
func Install(ctx context.Context, packages []string, progress io.Writer) error {
	if os.Geteuid() != 0 {
		return errors.New("installing needs root")
	}
	if _, err := exec.LookPath("apt-get"); err != nil {
		return errors.New("no apt-get here")
	}
	undo, err := keepServicesDown(ctx, policy)
	if err != nil {
		return err
	}
	defer undo()
	if err := apt(ctx, progress, "update", "-qq"); err != nil {
		fmt.Fprintln(progress, "package lists not updated, installing from those there are:", err)
	}
	// One by one: a package that this release does not have costs no other.
	var failed []error
	for _, p := range packages {
		fmt.Fprintln(progress, "installing", p)
		if err := apt(ctx, progress, "install", "-qq", "-y", "--no-install-recommends", p); err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", p, err))
		}
		if ctx.Err() != nil {
			break
		}
	}
	return errors.Join(failed...)
}

func apt(ctx context.Context, progress io.Writer, args ...string) error {
	cmd := exec.CommandContext(ctx, "apt-get", args...)
	// Interrupting dpkg is how package databases break: Ctrl-C does not reach it
	// (a group of its own) and we wait, which is not long.
	cmd.Cancel = func() error { return nil }
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive", "RUNLEVEL=1")
	out, err := cmd.CombinedOutput()
	if err != nil {
		lines := strings.Split(strings.TrimSpace(string(out)), "\n")
		return fmt.Errorf("%w: %s", err, lines[len(lines)-1])
	}
	return nil
}

// keepServicesDown makes sure that the policy says no, and returns what undoes
// that.
func keepServicesDown(ctx context.Context, policy string) (undo func(), err error) {
	file, err := os.OpenFile(policy, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o755)
	switch {
	case err == nil:
		_, err := file.WriteString(refuse)
		if err := errors.Join(err, file.Close()); err != nil {
			os.Remove(policy)
			return nil, err
		}
		return func() { os.Remove(policy) }, nil
	case errors.Is(err, os.ErrExist):
		err := exec.CommandContext(ctx, policy, "nginx", "start").Run()
		if exit, ok := errors.AsType[*exec.ExitError](err); ok && exit.ExitCode() == 101 {
			return func() {}, nil
		}
		return nil, fmt.Errorf("%s lets packages start services; install by hand", policy)
	default:
		return nil, err
	}
}
