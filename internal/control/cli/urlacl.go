package cli

import (
	"github.com/httpsys/httpsys/internal/config"
	"github.com/httpsys/httpsys/internal/control"
)

func (r *run) addURLACL() error {
	if err := r.setURLACL(control.AddURLACL); err != nil {
		return err
	}
	return r.done("URL reservation successfully added")
}

func (r *run) updateURLACL() error {
	if err := r.setURLACL(control.UpdateURLACL); err != nil {
		return err
	}
	return r.done("URL reservation successfully updated")
}

func (r *run) setURLACL(method string) error {
	grants, err := r.grants()
	if err != nil {
		return err
	}
	return r.call(method, control.URLACLParams{URL: r.get("url"), Grants: grants}, nil)
}

// grants reads the users and groups with their rights. listen= and delegate=
// belong to the one before them; before the first, they are what all have that
// say nothing else.
func (r *run) grants() ([]config.Grant, error) {
	usual := config.Grant{Listen: true}
	var grants []config.Grant
	seen := make(map[string]bool) // rights of the present one that were given
	for _, a := range r.args {
		switch a.tag {
		case "user", "group":
			g := usual
			if a.tag == "user" {
				g.User = a.value
			} else {
				g.Group = a.value
			}
			grants = append(grants, g)
			seen = make(map[string]bool)
		case "listen", "delegate":
			if seen[a.tag] {
				return nil, usagef("%s: %s= is there twice for one user or group", r.command.name(), a.tag)
			}
			seen[a.tag] = true
			yes, err := r.yesNo(a)
			if err != nil {
				return nil, err
			}
			g := &usual
			if len(grants) > 0 {
				g = &grants[len(grants)-1]
			}
			if a.tag == "listen" {
				g.Listen = yes
			} else {
				g.Delegate = yes
			}
		}
	}
	if len(grants) == 0 {
		return nil, usagef("%s: user= or group= is missing: usage: httpsys %s", r.command.name(), r.command.usageWithVerb())
	}
	return grants, nil
}

func (r *run) deleteURLACL() error {
	if err := r.call(control.DeleteURLACL, control.URLACLParams{URL: r.get("url")}, nil); err != nil {
		return err
	}
	return r.done("URL reservation successfully deleted")
}

func (r *run) showURLACL() error {
	var result control.URLACLResult
	if err := r.call(control.ShowURLACL, control.URLACLParams{URL: r.get("url")}, &result); err != nil {
		return err
	}
	return r.show(result, func(p *printer) { printURLACL(p, result.URLACL) })
}

func printURLACL(p *printer, all []config.URLACL) {
	p.heading("URL Reservations:")
	for _, a := range all {
		p.line(1, "Reserved URL            : %s", a.URL)
		for _, g := range a.Grants {
			if g.User != "" {
				p.line(2, "User: %s", g.User)
			} else {
				p.line(2, "Group: %s", g.Group)
			}
			p.line(3, "Listen: %s", yesNo(g.Listen))
			p.line(3, "Delegate: %s", yesNo(g.Delegate))
		}
		p.blank()
	}
}

func yesNo(b bool) string {
	if b {
		return "Yes"
	}
	return "No"
}
