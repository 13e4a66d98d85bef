package perf

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestWriteTop(t *testing.T) {
	var b bytes.Buffer
	writeTop(&b, []byte("\n  10 %  nginx  a  -  -\n\n   |\n   ---main\n 5 %\n"), 3)
	if want := "  10 %  nginx  a\n   |\n   ---main\n\n"; b.String() != want {
		t.Errorf("%q, want %q", b.String(), want)
	}
}

// The report names the program that was busy; without perf the error says what
// to install.
func TestRecord(t *testing.T) {
	burn := exec.Command("sh", "-c", "while :; do :; done")
	if err := burn.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		burn.Process.Kill()
		burn.Wait()
	}()
	out := filepath.Join(t.TempDir(), "results", "x.perf.txt")
	err := Record(t.Context(), t.TempDir(), []int{burn.Process.Pid}, out, func() error {
		time.Sleep(200 * time.Millisecond) // what is measured: time passing
		return nil
	})
	if _, lookErr := exec.LookPath("perf"); lookErr != nil {
		if err == nil || !strings.Contains(err.Error(), "linux-perf") {
			t.Errorf("without perf: %v", err)
		}
		return
	}
	if err != nil {
		t.Skip("perf may not record here:", err) // containers forbid it at times
	}
	text, err := os.ReadFile(out)
	if err != nil || !strings.Contains(string(text), "  sh") {
		t.Errorf("%v:\n%s", err, text)
	}
}

func TestFailureIsPassedOn(t *testing.T) {
	if _, err := exec.LookPath("perf"); err != nil {
		t.Skip("perf is not installed")
	}
	failed := errors.New("failed")
	out := filepath.Join(t.TempDir(), "x")
	err := Record(t.Context(), t.TempDir(), []int{os.Getpid()}, out, func() error { return failed })
	if !errors.Is(err, failed) {
		t.Errorf("%v", err)
	}
	if _, err := os.Stat(out); !os.IsNotExist(err) {
		t.Error("a report of a measurement that failed was written")
	}
}
