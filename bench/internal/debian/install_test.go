package debian

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// While packages are installed the policy says no. One that was there stays as
// it is, and if it would say yes nothing is installed.
func TestKeepServicesDown(t *testing.T) {
	for _, test := range []struct{ name, before, refused string }{
		{"no policy", "", ""},
		{"a policy that says no", "#!/bin/sh\nexit 101\n", ""},
		{"a policy that says yes", "#!/bin/sh\nexit 0\n", "lets packages start services"},
		{"a policy that does not know", "#!/bin/sh\nexit 1\n", "lets packages start services"},
	} {
		t.Run(test.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "policy-rc.d")
			if test.before != "" {
				if err := os.WriteFile(path, []byte(test.before), 0o755); err != nil {
					t.Fatal(err)
				}
			}
			undo, err := keepServicesDown(t.Context(), path)
			if test.refused != "" {
				if err == nil || !strings.Contains(err.Error(), test.refused) {
					t.Errorf("%v, want %q", err, test.refused)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			err = exec.Command(path, "nginx", "start").Run()
			if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.ExitCode() != 101 {
				t.Errorf("the policy answers %v, want exit status 101", err)
			}
			undo()
			after, err := os.ReadFile(path)
			if string(after) != test.before || test.before == "" && !os.IsNotExist(err) {
				t.Errorf("afterwards the policy is %q, %v; it was %q", after, err, test.before)
			}
		})
	}
}
