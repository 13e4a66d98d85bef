package daemon

// RefreshCertificates looks at the files now, and not some seconds later.
func (d *Daemon) RefreshCertificates() { d.certs.Refresh() }
