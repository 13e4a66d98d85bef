package daemon

import (
	"crypto/tls"
	"path/filepath"
	"time"

	"github.com/httpsys/httpsys/internal/certs"
	"github.com/httpsys/httpsys/internal/certs/localca"
	"github.com/httpsys/httpsys/internal/control/server"
	"github.com/httpsys/httpsys/internal/tlsio"
)

// protocols are offered on https ports, the preferred one first.
var protocols = []string{"h2", "http/1.1"}

// Folders in the data folder.
const authorityFolder = "ca" // the authority of this machine

// startTLS makes what https ports need. There are no bindings yet.
func (d *Daemon) startTLS() {
	d.certs = certs.New(certs.Options{
		Protocols: protocols,
		Authority: localca.Open(filepath.Join(d.opt.Data, authorityFolder), time.Now),
		Log:       d.log,
	})
	d.tls = tlsio.NewServer(tlsio.NewPool(tlsio.Limits{}), func(hello *tls.ClientHelloInfo) tlsio.Binding {
		return d.certs.Choose(hello)
	})
}

// Certificates implements server.Engine.
func (d *Daemon) Certificates() server.Certificates { return d.certs }
