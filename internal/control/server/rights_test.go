package server

import (
	"fmt"
	"strings"
	"testing"

	"github.com/httpsys/httpsys/internal/config"
	"github.com/httpsys/httpsys/internal/wire/channel"
)

// reserved is a state with reservations in the words of the command line:
// "http://+:80/ user=alice delegate=yes".
func reserved(t *testing.T, lines ...string) *config.State {
	t.Helper()
	s := empty()
	for _, line := range lines {
		words := strings.Fields(line)
		a := config.URLACL{URL: words[0]}
		for _, w := range words[1:] {
			tag, value, _ := strings.Cut(w, "=")
			switch tag {
			case "user":
				a.Grants = append(a.Grants, config.Grant{User: value, Listen: true})
			case "group":
				a.Grants = append(a.Grants, config.Grant{Group: value, Listen: true})
			case "listen":
				a.Grants[len(a.Grants)-1].Listen = value == "yes"
			case "delegate":
				a.Grants[len(a.Grants)-1].Delegate = value == "yes"
			default:
				t.Fatalf("%q in %q", w, line)
			}
		}
		s.URLACL = append(s.URLACL, a)
	}
	return s
}

func TestMayRegister(t *testing.T) {
	m := newMachine(t, reserved(t,
		"http://+:80/ user=alice",
		"http://+:80/www/ group=www",
		"http://+:80/www/bob/ user=bob user=1001",
		"http://+:80/everyone/ user=everyone",
		"http://+:80/not-bob/ user=everyone user=bob listen=no",
		"http://+:80/delegate/ user=alice listen=no delegate=yes",
		"http://+:80/left/ user=dave group=staff",
		"http://+:8080/app/ user=alice",
		"http://shop.example:8080/ user=bob",
		"http://192.0.2.1:8080/ user=carol",
		"http://*:8080/app/ user=root",
		"http://shop.example:8090/a/ user=alice",
	))
	tests := []struct {
		url     string
		allowed []Peer // of alice, bob, carol, nobody; administrators always may
		why     string
	}{
		{"http://+:80/", []Peer{alice}, "the reservation itself"},
		{"http://+:80/x/y/", []Peer{alice}, "below it"},
		{"http://+:80/www/", []Peer{bob, carol}, "a group, by supplementary and by primary group"},
		{"http://+:80/WWW/x/", []Peer{bob, carol}, "paths are compared without regard to case"},
		{"http://+:80/wwwx/", []Peer{alice}, "whole segments only"},
		{"http://+:80/www/bob/", []Peer{alice, bob}, "the longest reservation alone decides; by name and by number"},
		{"http://+:80/everyone/", []Peer{alice, bob, carol, nobody}, "everyone"},
		{"http://+:80/not-bob/", []Peer{alice, carol, nobody}, "listen=no forbids, whatever else is granted"},
		{"http://+:80/delegate/", nil, "delegate is not listen"},
		{"http://+:80/left/", nil, "accounts that do not exist (any more)"},
		{"http://*:80/", nil, "another bucket, where nothing is reserved, below 1024"},
		{"http://www.example:1023/", nil, "the last of the low ports"},
		{"http://www.example:1024/", []Peer{alice, bob, carol, nobody}, "the first of the others"},
		{"http://+:8080/", nil, "it would take requests from names and addresses that are reserved for several"},
		{"http://+:8090/", []Peer{alice}, "it would take requests from a name that is reserved"},
		{"http://+:8090/A/x/", []Peer{alice}, "a part of them"},
		{"http://+:8090/b/", []Peer{alice, bob, carol, nobody}, "beside a reservation nothing is reserved"},
		{"http://other.example:8090/a/", []Peer{alice, bob, carol, nobody}, "another host name takes nothing from the reserved one"},
		{"http://*:8090/a/", []Peer{alice, bob, carol, nobody}, "the weak wildcard takes nothing from anybody"},
		{"http://+:8080/app/x/", []Peer{alice}, "reserved on a high port"},
		{"http://shop.example:8080/app/", []Peer{bob}, "a host name is a bucket of its own"},
		{"http://SHOP.example:8080/", []Peer{bob}, "host names are compared without regard to case"},
		{"http://www.shop.example:8080/", []Peer{alice, bob, carol, nobody}, "another host name"},
		{"http://192.0.2.1:8080/", []Peer{carol}, "an address is a bucket of its own"},
		{"http://*:8080/app/", nil, "the weak wildcard is a bucket of its own"},
		{"http://+:8081/app/", []Peer{alice, bob, carol, nobody}, "another port"},
		{"http://+:0/app/", []Peer{alice, bob, carol, nobody}, "a free port: asked again when it is known"},
	}
	for _, c := range tests {
		p := parseURL(t, c.url)
		for _, peer := range []Peer{alice, bob, carol, nobody} {
			want := false
			for _, a := range c.allowed {
				want = want || a.UID == peer.UID
			}
			fault := m.MayRegister(peer, p)
			if got := fault == nil; got != want {
				t.Errorf("%s: %s registers %s: allowed %v, want %v", c.why, peer, c.url, got, want)
			}
			if fault != nil && fault.Code != channel.AccessDenied {
				t.Errorf("%s: %s registers %s: code %s", c.why, peer, c.url, fault.Code)
			}
		}
		for _, peer := range []Peer{root, service} {
			if fault := m.MayRegister(peer, p); fault != nil {
				t.Errorf("%s: an administrator registers %s: %v", c.why, c.url, fault)
			}
		}
	}
}

// A refused user is told in one line what is wrong and what an administrator
// has to run. Each of these commands really helps.
func TestRefusalsNameTheRemedy(t *testing.T) {
	tests := []struct {
		reserved []string
		peer     Peer
		url      string
		want     string
	}{
		{nil, bob, "http://+:80/app/",
			"user bob may not register http://+:80/app/: ports below 1024 need a reservation; " +
				"an administrator must run: httpsys add urlacl url=http://+:80/app/ user=bob"},
		{nil, nobody, "http://*:80/a b/",
			"user 65534 may not register http://*:80/a b/: ports below 1024 need a reservation; " +
				"an administrator must run: httpsys add urlacl 'url=http://*:80/a b/' user=65534"},
		{[]string{"http://+:8080/ user=alice"}, bob, "http://+:8080/app/",
			"user bob may not register http://+:8080/app/: http://+:8080/ is reserved for user alice; " +
				"an administrator must run: httpsys add urlacl url=http://+:8080/app/ user=bob"},
		{[]string{"http://+:8080/app/ user=alice delegate=yes group=1001"}, bob, "http://+:8080/App/",
			"user bob may not register http://+:8080/App/: http://+:8080/app/ is reserved for user alice, group 1001; " +
				"an administrator must run: httpsys update urlacl url=http://+:8080/app/ user=alice delegate=yes group=1001 user=bob"},
		{[]string{"http://+:8080/app/ user=everyone group=www listen=no"}, bob, "http://+:8080/app/",
			"user bob may not register http://+:8080/app/: the reservation http://+:8080/app/ forbids it with listen=no; " +
				"an administrator must run: httpsys update urlacl url=http://+:8080/app/ user=everyone user=bob"},
		{[]string{"http://+:8080/app/ user=alice listen=no delegate=yes"}, bob, "http://+:8080/app/x/",
			"user bob may not register http://+:8080/app/x/: http://+:8080/app/ is reserved for administrators; " +
				"an administrator must run: httpsys add urlacl url=http://+:8080/app/x/ user=bob"},
		{[]string{"http://+:8080/ user=1 user=2 user=3 user=4 user=5 user=6 user=7"}, bob, "http://+:8080/x/",
			"user bob may not register http://+:8080/x/: http://+:8080/ is reserved for user 1, user 2, user 3, user 4, user 5, 2 more; " +
				"an administrator must run: httpsys add urlacl url=http://+:8080/x/ user=bob"},
	}
	for _, c := range tests {
		m := newMachine(t, reserved(t, c.reserved...))
		p := parseURL(t, c.url)
		fault := m.MayRegister(c.peer, p)
		if fault == nil {
			t.Errorf("%s by %s: allowed, want %s", c.url, c.peer, c.want)
			continue
		}
		if fault.Message != c.want {
			t.Errorf("%s by %s:\n got %s\nwant %s", c.url, c.peer, fault.Message, c.want)
		}
		_, command, _ := strings.Cut(fault.Message, "must run: ")
		m.shell(command)
		if fault := m.MayRegister(c.peer, p); fault != nil {
			t.Errorf("after %s: %v", command, fault)
		}
	}
}

// shell carries out a urlacl command that a message suggests.
func (m *machine) shell(command string) {
	m.t.Helper()
	before, url, _ := strings.Cut(command, "url=")
	quoted := strings.HasSuffix(before, "'")
	end := " "
	if quoted {
		end = "' "
	}
	url, grants, _ := strings.Cut(url, end)
	verb := strings.Fields(before)[1]
	acl := reserved(m.t, "u "+grants).URLACL[0]
	var list []string
	for _, g := range acl.Grants {
		list = append(list, fmt.Sprintf(`{"user":%q,"group":%q,"listen":%v,"delegate":%v}`, g.User, g.Group, g.Listen, g.Delegate))
	}
	m.must(root, verb+" urlacl", fmt.Sprintf(`{"url":%q,"grants":[%s]}`, url, strings.Join(list, ",")))
}

// The truth table of HTTP.SYS's documentation for registrations, on the ports
// where we are as strict as it is.
func TestHTTPSysExample(t *testing.T) {
	fakeAccounts(t, users, groups)
	m := newMachine(t, reserved(t,
		"http://+:80/vroot/subdir/ user=alice user=carol",   // R1
		"http://adatum.com:80/vroot/ user=bob delegate=yes", // R2
	))
	registers := []struct {
		peer Peer
		url  string
		ok   bool
	}{
		{bob, "http://+:80/vroot/subdir/", false},
		{alice, "http://+:80/vroot/subdir/", true},
		{bob, "http://adatum.com:80/vroot/subdir/", true},
		{carol, "http://adatum.com:80/vroot/subdir/", false},
		{bob, "http://adatum.com:80/vroot/anotherdir/", true},
	}
	for _, c := range registers {
		if got := m.MayRegister(c.peer, parseURL(t, c.url)) == nil; got != c.ok {
			t.Errorf("%s registers %s: %v, want %v", c.peer, c.url, got, c.ok)
		}
	}
	add := func(peer Peer, url string) *channel.Error {
		_, fault := m.call(peer, "add urlacl", fmt.Sprintf(`{"url":%q,"grants":[{"user":"carol","listen":true}]}`, url))
		return fault
	}
	if fault := add(bob, "http://adatum.com:80/vroot/subdir/otherdir/"); fault != nil {
		t.Errorf("bob reserves below what was delegated to him: %v", fault)
	}
	if fault := add(root, "http://+:80/vroot/subdir/"); fault == nil || fault.Code != channel.AlreadyExists {
		t.Errorf("the administrator reserves a second time: %v, want already_exists", fault)
	}
	if fault := add(alice, "http://adatum.com:80/newroot/"); fault == nil || fault.Code != channel.AccessDenied {
		t.Errorf("alice reserves where nothing is delegated: %v, want access_denied", fault)
	}
}

func TestWhoMayReserve(t *testing.T) {
	tests := []struct {
		reserved string
		peer     Peer
		url      string
		want     string // "" if allowed
	}{
		{"", alice, "http://+:8080/app/",
			"user alice may not add the reservation http://+:8080/app/: no reservation above it was delegated; that is for an administrator (root or service)"},
		{"", root, "http://+:8080/app/", ""},
		{"", service, "http://+:8080/app/", ""},
		{"http://+:8080/ user=alice delegate=yes", alice, "http://+:8080/app/", ""},
		{"http://+:8080/ group=www listen=no delegate=yes", bob, "http://+:8080/app/", ""},
		{"http://+:8080/ user=alice", alice, "http://+:8080/app/",
			"user alice may not add the reservation http://+:8080/app/: http://+:8080/ does not grant delegate to this user; that is for an administrator (root or service)"},
		{"http://+:8080/ user=alice delegate=yes", bob, "http://+:8080/app/",
			"user bob may not add the reservation http://+:8080/app/: http://+:8080/ does not grant delegate to this user; that is for an administrator (root or service)"},
		{"http://+:8080/ user=alice delegate=yes", alice, "http://*:8080/app/",
			"user alice may not add the reservation http://*:8080/app/: no reservation above it was delegated; that is for an administrator (root or service)"},
	}
	for _, c := range tests {
		var lines []string
		if c.reserved != "" {
			lines = []string{c.reserved}
		}
		m := newMachine(t, reserved(t, lines...))
		params := fmt.Sprintf(`{"url":%q,"grants":[{"user":"carol","listen":true}]}`, c.url)
		if c.want == "" {
			m.must(c.peer, "add urlacl", params)
			m.must(c.peer, "update urlacl", params)
			m.must(c.peer, "delete urlacl", fmt.Sprintf(`{"url":%q}`, c.url))
			continue
		}
		m.wantFault(c.peer, "add urlacl", params, channel.AccessDenied, c.want)
		if m.saves != 0 {
			t.Errorf("%s: a refused call was saved", c.want)
		}
		// The same right is needed to change and to delete.
		m.must(root, "add urlacl", params)
		m.wantFault(c.peer, "update urlacl", params, channel.AccessDenied, strings.Replace(c.want, "not add", "not change", 1))
		m.wantFault(c.peer, "delete urlacl", fmt.Sprintf(`{"url":%q}`, c.url), channel.AccessDenied, strings.Replace(c.want, "not add", "not delete", 1))
	}
}

// Delegate on a reservation is a right over what is below it, not over itself:
// otherwise one could give it away for good.
func TestDelegateIsNotOwnership(t *testing.T) {
	m := newMachine(t, reserved(t, "http://+:8080/app/ user=alice delegate=yes"))
	for _, method := range []string{"update urlacl", "delete urlacl"} {
		params := `{"url":"http://+:8080/app/","grants":[{"user":"alice","listen":true}]}`
		if method == "delete urlacl" {
			params = `{"url":"http://+:8080/app/"}`
		}
		if _, fault := m.call(alice, method, params); fault == nil || fault.Code != channel.AccessDenied {
			t.Errorf("%s: %v, want access_denied", method, fault)
		}
	}
}

// Rights belong to whoever has the name now.
func TestNamesAreLookedUpWhenUsed(t *testing.T) {
	m := newMachine(t, reserved(t, "http://+:80/app/ user=alice"))
	p := parseURL(t, "http://+:80/app/")
	if fault := m.MayRegister(alice, p); fault != nil {
		t.Fatal(fault)
	}
	// alice is renamed; later a new user gets her name.
	fakeAccounts(t, map[string]string{"alicia": "1001"}, nil)
	if m.MayRegister(alice, p) == nil {
		t.Error("a renamed user inherits the right of the old name")
	}
	fakeAccounts(t, map[string]string{"alicia": "1001", "alice": "1002"}, nil)
	if fault := m.MayRegister(bob, p); fault != nil {
		t.Errorf("who has the name now has not the right: %v", fault)
	}
}

// Groups cost a system call or two: they are asked for only where they matter.
func TestGroupsAreAskedForOnce(t *testing.T) {
	m := newMachine(t, reserved(t, "http://+:80/users/ user=alice user=bob", "http://+:80/groups/ group=www group=1001"))
	asked := 0
	peer := Peer{UID: 5, GID: 5, Groups: func() []uint32 { asked++; return nil }}
	m.MayRegister(peer, parseURL(t, "http://+:80/users/"))
	if asked != 0 {
		t.Errorf("asked %d times where no group is named", asked)
	}
	m.MayRegister(peer, parseURL(t, "http://+:80/groups/"))
	if asked != 1 {
		t.Errorf("asked %d times, want once", asked)
	}
}
