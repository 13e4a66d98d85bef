package config

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A file as it is written, with one of everything.
const example = `{
  "version": 1,
  "urlacl": [
    {
      "url": "http://+:80/app/",
      "grants": [
        {
          "user": "alice",
          "listen": true,
          "delegate": true
        },
        {
          "group": "33",
          "listen": false,
          "delegate": false
        }
      ]
    }
  ],
  "timeouts": {
    "headerwaittimeout": 30,
    "minsendrate": 0
  },
  "settings": {
    "maxfields": 64
  },
  "iplisten": [
    "192.0.2.1",
    "::"
  ]
}
`

func exampleState() *State {
	return &State{
		Version: 1,
		URLACL: []URLACL{{URL: "http://+:80/app/", Grants: []Grant{
			{User: "alice", Listen: true, Delegate: true},
			{Group: "33"},
		}}},
		Timeouts: map[string]int64{"headerwaittimeout": 30, "minsendrate": 0},
		Settings: map[string]int64{"maxfields": 64},
		IPListen: []string{"192.0.2.1", "::"},
	}
}

func TestFormat(t *testing.T) {
	text, err := Encode(exampleState())
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(example, string(text)); d != "" {
		t.Errorf("Encode (-want +got):\n%s", d)
	}
	got, err := Decode([]byte(example))
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(exampleState(), got); d != "" {
		t.Errorf("Decode (-want +got):\n%s", d)
	}
}

// with is a file with these members beside the version.
func with(members string) string { return `{"version":1,` + members + `}` }

var accepted = []struct{ in, why string }{
	{`{"version":1}`, "everything has its default"},
	{with(`"urlacl":null`), "null is nothing"},
	{"\n\t " + with(`"urlacl":[]`) + "\r\n", "white space around the value"},
	{with(`"urlacl":[{"url":"u","grants":[{"user":"0","listen":true,"delegate":false}]}]`), "the number of root"},
	{with(`"urlacl":[{"url":"u","grants":[{"user":"4294967294","listen":true,"delegate":false}]}]`), "the highest number"},
	{with(`"urlacl":[{"url":"u","grants":[{"user":"www","listen":true,"delegate":false},{"group":"www","listen":true,"delegate":false}]}]`),
		"a user and a group may have the same name"},
	{with(`"timeouts":{"headerwaittimeout":0}`), "off"},
	{with(`"timeouts":{"headerwaittimeout":65534}`), "the highest timeout"},
	{with(`"settings":{"maxrequestbytes":131072}`), "the highest limit"},
	{with(`"iplisten":["[2001:db8::1]","192.0.2.1"]`), "brackets, as in a URL"},
}

func TestAccepted(t *testing.T) {
	for _, c := range accepted {
		if _, err := Decode([]byte(c.in)); err != nil {
			t.Errorf("%s: %s: %v", c.why, c.in, err)
		}
	}
}

var refused = []struct{ in, want string }{
	// Not JSON, with the place.
	{``, `1:1: unexpected end of JSON input`},
	{"\n\n", `2:1: unexpected end of JSON input`},
	{`{"version":1`, `1:12: unexpected end of JSON input`},
	{"{\n  \"version\": 1,\n  \"urlacl\": [}\n}", `3:14: invalid character '}' looking for beginning of value`},
	{"{\n  \"version\": 1,\n}", `3:1: invalid character '}' looking for beginning of object key string`},
	{`{"version":1} {}`, `1:15: invalid character '{' after top-level value`},
	{"{\"version\":1,\"urläcl\":x}", `1:23: invalid character 'x' looking for beginning of value`},
	{"{\"version\":1,\n\"iplisten\":[\"\xff\"]}", `2:14: this is not UTF-8`},
	{"\xef\xbb\xbf{\"version\":1}", `1:1: invalid character 'ï' looking for beginning of value`},

	// The version decides how the rest is read.
	{`null`, `member "version" is missing`},
	{`{}`, `member "version" is missing`},
	{`{"version":0}`, `version 0 is unknown: this httpsys reads and writes version 1`},
	{`{"version":2,"clusters":{}}`, `version 2 is unknown: this httpsys reads and writes version 1`},
	{`{"version":"1"}`, `1:14: member version is a JSON string, but must be a whole number`},
	{`{"version":1.5}`, `1:14: member version is a JSON number 1.5, but must be a whole number`},
	{`[]`, `1:1: the configuration is a JSON array, but must be an object`},

	// What would be lost when the file is written again.
	{with(`"urlacls":[]`), `unknown field "urlacls"`},
	{with(`"urlacl":[{"url":"u","sddl":"D:"}]`), `unknown field "sddl"`},
	{with(`"urlacl":[],"urlacl":[]`), `1:33: member "urlacl" is there twice`},
	{with(`"urlacl":[],"URLACL":[]`), `1:33: member "URLACL" is there twice`},
	{with(`"timeouts":{"minsendrate":1,"minsendrate":2}`), `1:54: member "minsendrate" is there twice`},

	// Reservations.
	{with(`"urlacl":{}`), `1:23: member urlacl is a JSON object, but must be an array`},
	{with(`"urlacl":[{"grants":[{"user":"a","listen":true}]}]`), `urlacl: entry 1 has no url`},
	{with(`"urlacl":[{"url":"u","grants":[{"user":"a"}]},{"url":"u","grants":[{"user":"b"}]}]`), `urlacl: u is reserved twice`},
	{with(`"urlacl":[{"url":"u"}]`), `urlacl: u: a reservation needs at least one user or group`},
	{with(`"urlacl":[{"url":"u","grants":[{"listen":true}]}]`), `urlacl: u: a grant names either a user or a group`},
	{with(`"urlacl":[{"url":"u","grants":[{"user":"a","group":"b"}]}]`), `urlacl: u: a grant names either a user or a group`},
	{with(`"urlacl":[{"url":"u","grants":[{"user":"a"},{"user":"a"}]}]`), `urlacl: u: a is named twice`},
	{with(`"urlacl":[{"url":"u","grants":[{"user":"a b"}]}]`), `urlacl: u: "a b" cannot be the name of an account`},
	{with(`"urlacl":[{"url":"u","grants":[{"user":"a\u0000"}]}]`), `urlacl: u: "a\x00" cannot be the name of an account`},
	{with(`"urlacl":[{"url":"u","grants":[{"user":"4294967295"}]}]`), `urlacl: u: 4294967295 cannot be the number of an account`},
	{with(`"urlacl":[{"url":"u","grants":[{"user":"a","listen":1}]}]`),
		`1:66: member urlacl.grants.listen is a JSON number, but must be true or false`},

	// Numbers.
	{with(`"timeouts":{"headerwaittimeout":65535}`), `timeouts: headerwaittimeout is 1 to 65534 secs, or 0 for off: 65535 is not possible`},
	{with(`"timeouts":{"headerwaittimeout":-1}`), `timeouts: headerwaittimeout is 1 to 65534 secs, or 0 for off: -1 is not possible`},
	{with(`"settings":{"maxfieldlength":63}`), `settings: maxfieldlength is 64 to 65534 bytes: 63 is not possible`},
	{with(`"settings":{"maxfieldlength":0}`), `settings: maxfieldlength is 64 to 65534 bytes: 0 is not possible`},
	{with(`"settings":{"maxrequestbytes":131073}`), `settings: maxrequestbytes is 256 to 131072 bytes: 131073 is not possible`},
	{with(`"settings":{"zz":1,"aa":1}`), `settings: "aa" is unknown to this httpsys`},
	{with(`"timeouts":{"maxfieldlength":64}`), `timeouts: "maxfieldlength" is unknown to this httpsys`},

	// Addresses.
	{with(`"iplisten":["localhost"]`), `iplisten: "localhost" is not an IP address (like 192.0.2.1, 2001:db8::1, 0.0.0.0 or ::)`},
	{with(`"iplisten":["192.0.2.1:80"]`), `iplisten: "192.0.2.1:80" is not an IP address (like 192.0.2.1, 2001:db8::1, 0.0.0.0 or ::)`},
	{with(`"iplisten":["fe80::1%eth0"]`), `iplisten: "fe80::1%eth0" is not an IP address (like 192.0.2.1, 2001:db8::1, 0.0.0.0 or ::)`},
	{with(`"iplisten":["::1","[0:0::1]"]`), `iplisten: ::1 is listed twice`},
}

func TestRefused(t *testing.T) {
	for _, c := range refused {
		_, err := Decode([]byte(c.in))
		if err == nil {
			t.Errorf("%s: accepted, want %s", c.in, c.want)
		} else if err.Error() != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.in, err, c.want)
		}
	}
}

// A state that Decode would refuse is never written.
func TestEncodeChecks(t *testing.T) {
	for _, s := range []*State{{}, {Version: 1, IPListen: []string{"x"}}, {Version: 1, URLACL: []URLACL{{URL: "u"}}}} {
		if text, err := Encode(s); err == nil {
			t.Errorf("Encode(%+v) = %s, want an error", s, text)
		}
	}
}

// What can be read can be written and read again, and is the same; nothing
// that anybody writes into a file makes us panic.
func FuzzDecode(f *testing.F) {
	f.Add([]byte(example))
	for _, c := range accepted {
		f.Add([]byte(c.in))
	}
	for _, c := range refused {
		f.Add([]byte(c.in))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := Decode(data)
		if err != nil {
			if strings.ContainsAny(err.Error(), "\r\n\x00") {
				t.Errorf("the message is not one line: %q", err)
			}
			return
		}
		s.Limits()
		text, err := Encode(s)
		if err != nil {
			t.Fatalf("read, but cannot be written: %v", err)
		}
		again, err := Decode(text)
		if err != nil {
			t.Fatalf("written, but cannot be read: %v\n%s", err, text)
		}
		text2, err := Encode(again)
		if err != nil || string(text) != string(text2) {
			t.Fatalf("written twice, differently: %v\n%s\n%s", err, text, text2)
		}
	})
}
