package stack

import (
	"fmt"
	"os"
)

// startH2O: a small file, which h2o keeps open, as it has no fixed answer without
// a scripting language; or everything to the application behind.
func startH2O(st *starting) error {
	program, err := h2o.path()
	if err != nil {
		return err
	}
	hello, err := st.write("hello.txt", Hello)
	if err != nil {
		return err
	}
	paths := fmt.Sprintf("      /hello:\n        file.file: %s\n", hello)
	if st.upstream != "" {
		paths = fmt.Sprintf("      /:\n        proxy.reverse.url: \"http://[unix:%s]/\"\n", st.upstream) +
			"        proxy.preserve-host: ON\n        proxy.timeout.keepalive: 3600000\n"
	}
	if st.opt.File != "" && st.upstream == "" {
		paths += fmt.Sprintf("      /file:\n        file.file: %s\n", st.opt.File)
	}
	user, secure := "", ""
	if st.opt.TLS {
		secure = fmt.Sprintf("      ssl:\n        certificate-file: %s\n        key-file: %s\n", st.yard.cert, st.yard.key)
	}
	if os.Geteuid() == 0 {
		user = "user: root\n"
	}
	config, err := st.write("h2o.conf", fmt.Sprintf(`%snum-threads: 1
max-connections: 16384
http1-request-timeout: 3600
hosts:
  default:
    listen:
      host: 127.0.0.1
      port: %d
%s    paths:
%s`, user, st.port, secure, paths))
	if err != nil {
		return err
	}
	_, err = st.run("h2o", nil, program, "-c", config)
	return err
}
