package stack

import (
	"fmt"
	"path/filepath"
)

// startVarnish: the application behind Varnish, with what may be kept in memory. Without a cache
// everything is passed on. The worker is a thread pool of one, as one CPU is all there is.
func startVarnish(st *starting) error {
	program, err := varnish.path()
	if err != nil {
		return err
	}
	receive := "return (hash);"
	if !st.opt.Cache {
		receive = "return (pass);"
	}
	config, err := st.write("bench.vcl", fmt.Sprintf(`vcl 4.1;
backend app { .path = %q; }
sub vcl_recv { %s }
`, st.upstream, receive))
	if err != nil {
		return err
	}
	// No log: it is kept in memory, and costs what nobody reads. The jail is for services that are started as root.
	_, err = st.run("varnishd", nil, program, "-F", "-n", filepath.Join(st.Dir, "varnish"), "-a", st.Host, "-f", config, "-T", "none", "-j", "none",
		"-s", "malloc,256m", "-p", "thread_pools=1", "-p", "thread_pool_min=100", "-p", "timeout_idle=3600")
	return err
}
