package cli

import (
	"strconv"
	"strings"

	"github.com/spf13/cobra"
)

// tag is a parameter of a command, written tag=value.
type tag struct {
	name     string
	alias    string // an older spelling of netsh
	value    string // what stands for the value in the usage line
	help     string
	required bool
	repeat   bool     // may be given several times
	values   []string // what can be completed
}

// arg is one tag with its value, in the order of the command line.
type arg struct{ tag, value string }

// parseArgs reads arguments the way netsh does: tag=value in any order and any
// case, or values alone in the order of the usage line. Values alone come first.
func parseArgs(spec *command, words []string) ([]arg, error) {
	var args []arg
	seen := make(map[string]bool)
	tagged := false
	for i, word := range words {
		name, value, ok := cutTag(word)
		switch {
		case ok:
			t := spec.tag(name)
			if t == nil {
				return nil, usagef("%s has no %s=%s: usage: httpsys %s", spec.name(), strings.ToLower(name), spec.instead(name), spec.usageWithVerb())
			}
			name, tagged = t.name, true
		case tagged:
			return nil, usagef("%s: %q stands after a tag=value and needs a tag itself: usage: httpsys %s", spec.name(), word, spec.usageWithVerb())
		case i >= len(spec.tags):
			return nil, usagef("%s: %q is one argument too many: usage: httpsys %s", spec.name(), word, spec.usageWithVerb())
		default:
			name, value = spec.tags[i].name, word
		}
		if value == "" {
			return nil, usagef("%s: %s= has no value: usage: httpsys %s", spec.name(), name, spec.usageWithVerb())
		}
		if seen[name] && !spec.tag(name).repeat {
			return nil, usagef("%s: %s= is there twice", spec.name(), name)
		}
		seen[name] = true
		args = append(args, arg{name, value})
	}
	for i := range spec.tags {
		if t := &spec.tags[i]; t.required && !seen[t.name] {
			return nil, usagef("%s: %s= is missing: usage: httpsys %s", spec.name(), t.name, spec.usageWithVerb())
		}
	}
	return args, nil
}

// cutTag splits tag=value. What stands before the first "=" of a value alone
// (a URL) is not made of letters and digits only.
func cutTag(word string) (name, value string, ok bool) {
	name, value, ok = strings.Cut(word, "=")
	if !ok || name == "" {
		return "", "", false
	}
	for i, c := range []byte(name) {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9' || i == 0) {
			return "", "", false
		}
	}
	return name, value, true
}

func (c *command) tag(name string) *tag {
	for i := range c.tags {
		if t := &c.tags[i]; strings.EqualFold(t.name, name) || t.alias != "" && strings.EqualFold(t.alias, name) {
			return t
		}
	}
	return nil
}

// instead explains tags that netsh has and we do not.
func (c *command) instead(name string) string {
	switch strings.ToLower(name) {
	case "sddl":
		return " (rights are given to user= and group= here)"
	case "certhash", "certstorename":
		return " (certificates are files here: cert=FILE key=FILE)"
	case "sslctlidentifier":
		return " (the authorities of clients are a file here: sslctlstorename=FILE)"
	}
	return ""
}

// get returns the value of a tag that is given at most once, or "".
func (r *run) get(name string) string {
	for _, a := range r.args {
		if a.tag == name {
			return a.value
		}
	}
	return ""
}

// yesNo reads a switch of netsh.
func (r *run) yesNo(a arg) (bool, error) {
	switch strings.ToLower(a.value) {
	case "yes":
		return true, nil
	case "no":
		return false, nil
	}
	return false, usagef("%s: %s is yes or no, not %q", r.command.name(), a.tag, a.value)
}

// oneOf reads a word of a fixed set.
func (r *run) oneOf(name, def string, words ...string) (string, error) {
	value := r.get(name)
	if value == "" {
		return def, nil
	}
	for _, w := range words {
		if strings.EqualFold(w, value) {
			return w, nil
		}
	}
	return "", usagef("%s: there is no %s %q: use one of %s", r.command.name(), name, value, strings.Join(words, ", "))
}

// number reads a decimal number, or a hexadecimal one as netsh takes them.
func (r *run) number(name string) (int64, error) {
	text := r.get(name)
	digits, base := text, 10
	if hex, ok := strings.CutPrefix(strings.ToLower(text), "0x"); ok {
		digits, base = hex, 16
	}
	n, err := strconv.ParseUint(digits, base, 63)
	if err != nil {
		return 0, usagef("%s: %s is a number (decimal, or hexadecimal with 0x), not %q", r.command.name(), name, text)
	}
	return int64(n), nil
}

// complete offers the tags that are still possible, and the values of those
// that have a fixed set.
func (c *command) complete(_ *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
	if name, _, ok := strings.Cut(word, "="); ok {
		var words []string
		if t := c.tag(name); t != nil {
			for _, v := range t.values {
				words = append(words, t.name+"="+v)
			}
		}
		return words, cobra.ShellCompDirectiveNoFileComp
	}
	used := make(map[string]bool)
	for _, a := range args {
		if name, _, ok := cutTag(a); ok {
			used[strings.ToLower(name)] = true
		}
	}
	var words []string
	for _, t := range c.tags {
		if t.repeat || !used[t.name] {
			words = append(words, t.name+"=\t"+t.help)
		}
	}
	return words, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
}
