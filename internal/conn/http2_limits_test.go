package conn

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/httpsys/httpsys/internal/config"
	"github.com/httpsys/httpsys/internal/wire/h2"
)

// The defaults that an administrator sees are those of the core.
func TestHTTP2LimitsAreTheDefaults(t *testing.T) {
	s := &Server{}
	s.SetLimits(config.DefaultLimits())
	if d := cmp.Diff(h2.DefaultLimits, s.h2limits); d != "" {
		t.Errorf("h2.DefaultLimits (-) and config.DefaultLimits (+) differ:\n%s", d)
	}
}
