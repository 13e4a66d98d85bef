package compat

import (
	"context"
	"os/exec"
	"sync"
	"syscall"
	"testing"
)

// browser makes a command that opens a page in Chromium, with a profile of its
// own, and with it all that it starts ends.
func browser(t *testing.T, args ...string) *exec.Cmd {
	c := exec.CommandContext(context.Background(), "chromium", append([]string{
		"--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
		"--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--user-data-dir=" + t.TempDir()}, args...)...)
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	return c
}

// browse opens a page, whatever its certificate. The function closes the
// browser, as the end of the test does.
func browse(t *testing.T, url string) (end func()) {
	t.Helper()
	c := browser(t, "--ignore-certificate-errors", url)
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	end = sync.OnceFunc(func() {
		syscall.Kill(-c.Process.Pid, syscall.SIGKILL) // it and those it started
		c.Wait()
	})
	t.Cleanup(end)
	return end
}
