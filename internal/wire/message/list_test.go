package message

import (
	"fmt"
	"testing"
)

func TestNextMember(t *testing.T) {
	for in, want := range map[string]string{
		"": "[]", "a": "[a]", "a,b": "[a b]", " a ,\tb\t": "[a b]", "a,": "[a ]", ",,a": "[  a]", "a b, c;q=1": "[a b c;q=1]",
	} {
		var got []string
		for list := []byte(in); list != nil; {
			var m []byte
			m, list = NextMember(list)
			got = append(got, string(m))
		}
		if fmt.Sprint(got) != want {
			t.Errorf("members of %q: %v, want %s", in, got, want)
		}
	}
}

func TestHasToken(t *testing.T) {
	for _, row := range []struct {
		list string
		want bool
	}{
		{"close", true}, {"Close", true}, {"keep-alive, CLOSE", true}, {",close", true}, {"close;q=1", true}, {"close ; q", true},
		{"", false}, {"closed", false}, {"keep-alive", false}, {"x;close", false}, {"clo se", false},
	} {
		if got := HasToken([]byte(row.list), "close"); got != row.want {
			t.Errorf("HasToken(%q, close) = %v", row.list, got)
		}
	}
}
