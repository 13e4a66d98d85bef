package h1

import "testing"

func TestSmoke(t *testing.T) {
	in := []byte("POST /a?b HTTP/1.1\r\nHost: x:80\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nA: b\r\n\r\n")
	for cut := range len(in) {
		var p HeadParser
		var r Request
		n, err := p.Parse(in[:cut], &r, &DefaultLimits)
		if err != nil {
			t.Fatal(cut, err)
		}
		if n == 0 {
			n, err = p.Parse(in, &r, &DefaultLimits)
		}
		if err != nil || n != 62 || string(r.Authority) != "x:80" || string(r.Query) != "b" || !r.Chunked {
			t.Fatal(cut, n, err, r)
		}
		var b Body
		b.Init(&r)
		data, k, done, err := b.Next(in[n:])
		if string(data) != "hello" || !done || err != nil || k != len(in)-n || string(b.Trailers[0].Name) != "A" {
			t.Fatal(string(data), k, done, err)
		}
	}
}
