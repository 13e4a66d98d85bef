package stack

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// startNginx: a fixed answer for /hello and a file with sendfile for /file, or
// everything to the application behind, with connections kept to it. Bodies are
// streamed, not spooled to disk, as an application that streams would want it.
// There is no master process: a worker costs the same without one, and ends with
// us even when we are killed.
func startNginx(st *starting) error {
	program, err := nginx.path()
	if err != nil {
		return err
	}
	var locations strings.Builder
	if st.upstream == "" {
		fmt.Fprintf(&locations, `
    location = /hello { default_type "text/plain; charset=utf-8"; return 200 %q; }`, Hello)
		if st.opt.File != "" {
			fmt.Fprintf(&locations, `
    location = /file { default_type application/octet-stream; alias %q; }`, st.opt.File)
		}
	} else {
		locations.WriteString(`
    location / {
      proxy_pass http://app;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $http_host;
      proxy_request_buffering off;
      proxy_max_temp_file_size 0;
    }
    location = /socket {
      proxy_pass http://app;
      proxy_http_version 1.1;
      proxy_set_header Connection "Upgrade";
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Host $http_host;
      proxy_read_timeout 1h;
    }`)
	}
	cache, push := "", "on"
	if st.opt.Cache {
		push = "off" // with it the end of a file of 64 KiB waits 40 ms for the client's ACK
		cache = `
  proxy_cache_path cache levels=1:2 keys_zone=bench:64m max_size=1g inactive=1h use_temp_path=off;
  open_file_cache max=10000 inactive=1h;
  open_file_cache_valid 1h;
  proxy_cache bench;
  proxy_cache_key $request_uri;`
	}
	user, app := "", ""
	if os.Geteuid() == 0 {
		user = "user root;"
	}
	if st.upstream != "" {
		app = fmt.Sprintf(`
  upstream app { server unix:%s; keepalive 512; keepalive_requests 1000000000; keepalive_timeout 1h; }`, st.upstream)
	}
	listen := st.Host
	if st.opt.TLS {
		listen += " ssl"
		fmt.Fprintf(&locations, `
    ssl_certificate %s;
    ssl_certificate_key %s;
    ssl_protocols TLSv1.2 TLSv1.3;
    ssl_session_cache shared:bench:10m;`, st.yard.cert, st.yard.key)
	}
	if st.opt.HTTP2 {
		listen += " http2"
	}
	config, err := st.write("nginx.conf", fmt.Sprintf(`%s
daemon off;
master_process off;
pid nginx.pid;
error_log stderr error;
events { worker_connections 32768; }
http {
  access_log off;
  sendfile on;
  tcp_nopush %s;
  keepalive_timeout 1h;
  keepalive_requests 1000000000;
  client_max_body_size 0;
  client_body_temp_path tmp/body;
  proxy_temp_path tmp/proxy;
  fastcgi_temp_path tmp/fastcgi;
  uwsgi_temp_path tmp/uwsgi;
  scgi_temp_path tmp/scgi;%s%s
  server {
    listen %s backlog=4096;%s
  }
}
`, user, push, cache, app, listen, locations.String()))
	if err != nil {
		return err
	}
	if err := os.Mkdir(filepath.Join(st.Dir, "tmp"), 0o755); err != nil {
		return err
	}
	_, err = st.run("nginx", nil, program, "-e", "stderr", "-p", st.Dir, "-c", config)
	return err
}
