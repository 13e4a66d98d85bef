package cli

import "github.com/httpsys/httpsys/internal/control"

func (r *run) addIPListen() error {
	if err := r.call(control.AddIPListen, control.IPListenParams{IPAddress: r.get("ipaddress")}, nil); err != nil {
		return err
	}
	return r.done("IP address successfully added")
}

func (r *run) deleteIPListen() error {
	if err := r.call(control.DeleteIPListen, control.IPListenParams{IPAddress: r.get("ipaddress")}, nil); err != nil {
		return err
	}
	return r.done("IP address successfully deleted")
}

func (r *run) showIPListen() error {
	var result control.IPListenResult
	if err := r.call(control.ShowIPListen, nil, &result); err != nil {
		return err
	}
	return r.show(result, func(p *printer) { printIPListen(p, result.IPListen) })
}

func printIPListen(p *printer, addresses []string) {
	p.heading("IP addresses present in the IP listen list:")
	for _, a := range addresses {
		p.line(1, "%s", a)
	}
	p.blank()
}
