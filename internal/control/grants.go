package control

import "github.com/httpsys/httpsys/internal/config"

// GrantArgs writes grants as arguments of "add urlacl": a user= or group=
// each, followed by the rights that are not the usual ones.
func GrantArgs(grants []config.Grant) []string {
	var args []string
	for _, g := range grants {
		if g.User != "" {
			args = append(args, "user="+g.User)
		} else {
			args = append(args, "group="+g.Group)
		}
		if !g.Listen {
			args = append(args, "listen=no")
		}
		if g.Delegate {
			args = append(args, "delegate=yes")
		}
	}
	return args
}
