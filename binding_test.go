package httpsys

import (
	"slices"
	"testing"
)

func TestBinding(t *testing.T) {
	for _, test := range []struct {
		name string
		b    Binding
		want []string
	}{
		{"nothing said", Binding{Port: 80}, []string{"http://+:80/"}},
		{"a free port", Binding{}, []string{"http://+:0/"}},
		{"scheme, port and base", Binding{Scheme: "https", Port: 8443, URLBase: "shop"},
			[]string{"https://+:8443/shop/"}},
		{"slashes do not matter", Binding{Port: 80, URLBase: "//a/b/"}, []string{"http://+:80/a/b/"}},
		{"weak", Binding{Port: 80, Wildcard: Weak}, []string{"http://*:80/"}},
		{"hosts take the place of the default binding", Binding{Port: 80, Hosts: []string{"a.test", "b.test"}},
			[]string{"http://a.test:80/", "http://b.test:80/"}},
		{"or are there besides", Binding{Port: 80, Hosts: []string{"a.test"}, Default: true, Wildcard: Weak},
			[]string{"http://a.test:80/", "http://*:80/"}},
		{"addresses", Binding{Port: 80, Hosts: []string{"192.0.2.1", "2001:db8::1", "[::1]"}},
			[]string{"http://192.0.2.1:80/", "http://[2001:db8::1]:80/", "http://[::1]:80/"}},
		{"as people write lists", Binding{Port: 80, Hosts: []string{" a.test ", "", "a.test"}},
			[]string{"http://a.test:80/"}},
		{"a hook", Binding{Port: 80, Hosts: []string{"a.test", "b.test"}, EditHosts: func(h []string) []string {
			h[0] = "c.test"
			return append(h, "d.test")
		}}, []string{"http://c.test:80/", "http://b.test:80/", "http://d.test:80/"}},
		{"a hook that leaves none", Binding{Port: 80, Hosts: []string{"a.test"},
			EditHosts: func([]string) []string { return nil }},
			[]string{"http://+:80/"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			before := slices.Clone(test.b.Hosts)
			if got := test.b.Prefixes(); !slices.Equal(got, test.want) {
				t.Errorf("got %q, want %q", got, test.want)
			}
			if !slices.Equal(before, test.b.Hosts) {
				t.Error("the hook changed the settings")
			}
		})
	}
}
