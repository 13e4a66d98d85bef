package stack

import "fmt"

// startHAProxy: a fixed answer, or everything to the application behind, with
// connections kept to it and shared between clients.
func startHAProxy(st *starting) error {
	program, err := haproxy.path()
	if err != nil {
		return err
	}
	action := fmt.Sprintf("http-request return status 200 content-type \"text/plain; charset=utf-8\" string %q", Hello)
	if st.upstream != "" {
		action = fmt.Sprintf("http-reuse always\n  server app unix@%s pool-max-conn 512", st.upstream)
	}
	bind := st.Host
	if st.opt.TLS {
		bind += " ssl crt " + st.yard.both
		if st.opt.HTTP2 {
			bind += " alpn h2,http/1.1"
		}
	}
	cache := ""
	if st.opt.Cache {
		cache = `cache bench
  total-max-size 256
  max-object-size 1000000
  max-age 3600
`
		action = "http-request cache-use bench\n  http-response cache-store bench\n  " + action
	}
	config, err := st.write("haproxy.cfg", fmt.Sprintf(`global
  nbthread 1
  maxconn 16384
  tune.ssl.default-dh-param 2048
  no strict-limits
%sdefaults
  mode http
  timeout connect 10s
  timeout client 1h
  timeout server 1h
  timeout http-keep-alive 1h
listen bench
  bind %s backlog 4096
  %s
`, cache, bind, action))
	if err != nil {
		return err
	}
	_, err = st.run("haproxy", nil, program, "-q", "-db", "-f", config)
	return err
}
