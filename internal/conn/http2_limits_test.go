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
	want := h2.DefaultLimits
	want.StallPeriod = sendPeriod // shorter in tests
	if d := cmp.Diff(want, s.h2limits); d != "" {
		t.Errorf("h2.DefaultLimits (-) and config.DefaultLimits (+) differ:\n%s", d)
	}
}
