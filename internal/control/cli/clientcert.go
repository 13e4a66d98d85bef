package cli

import (
	"github.com/httpsys/httpsys/internal/config"
	"github.com/httpsys/httpsys/internal/control"
)

func (r *run) addClientCert() error {
	if err := r.call(control.AddClientCert, config.ClientCertPolicy{URL: r.get("url"), Require: r.get("require")}, nil); err != nil {
		return err
	}
	return r.done("Demand for client certificates successfully added")
}

func (r *run) deleteClientCert() error {
	if err := r.call(control.DeleteClientCert, control.ClientCertParams{URL: r.get("url")}, nil); err != nil {
		return err
	}
	return r.done("Demand for client certificates successfully deleted")
}

func (r *run) showClientCert() error {
	var result control.ClientCertResult
	if err := r.call(control.ShowClientCert, control.ClientCertParams{URL: r.get("url")}, &result); err != nil {
		return err
	}
	return r.show(result, func(p *printer) {
		p.heading("Client certificates:")
		for _, c := range result.ClientCert {
			p.line(1, "URL                     : %s", c.URL)
			p.line(2, "Require: %s", c.Require)
			p.blank()
		}
	})
}
