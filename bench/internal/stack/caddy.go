package stack

import "fmt"

// startCaddy: a fixed answer, or everything to the application behind.
func startCaddy(st *starting) error {
	program, err := caddy.path()
	if err != nil {
		return err
	}
	action := fmt.Sprintf("header Content-Type \"text/plain; charset=utf-8\"\n  respond /hello %q", Hello)
	if st.upstream != "" {
		action = fmt.Sprintf(`reverse_proxy unix/%s {
    transport http {
      keepalive_idle_conns_per_host 512
    }
  }`, st.upstream)
	}
	config, err := st.write("Caddyfile", fmt.Sprintf(`{
  admin off
  auto_https off
}
http://:%d {
  bind 127.0.0.1
  %s
}
`, st.port, action))
	if err != nil {
		return err
	}
	// Caddy keeps state in these; the user's own is not touched.
	env := []string{"HOME=" + st.Dir, "XDG_DATA_HOME=" + st.Dir, "XDG_CONFIG_HOME=" + st.Dir}
	_, err = st.run("caddy", env, program, "run", "--adapter", "caddyfile", "--config", config)
	return err
}
