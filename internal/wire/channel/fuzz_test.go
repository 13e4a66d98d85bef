package channel

import (
	"bytes"
	"testing"
)

// seed gives a fuzzer every vector of one frame type, valid or not, without
// its header unless whole; long ones only teach it to be slow.
func seed(f *testing.F, t Type, whole bool) {
	v := readVectors(f)
	add := func(text string) {
		b := unhex(f, text)
		if len(b) > 4096 || Type(b[8]) != t && t != 0 {
			return
		}
		if !whole {
			b = b[HeaderSize:]
		}
		f.Add(b)
	}
	for _, frame := range v.Frames {
		add(frame.Hex)
	}
	for _, invalid := range v.Invalid {
		add(invalid.Hex)
	}
}

// What is parsed is appended again as it was; what is not has a reason.
func FuzzHeader(f *testing.F) {
	seed(f, 0, true)
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) < HeaderSize {
			return
		}
		h, err := ParseHeader(b)
		if err != nil {
			return
		}
		if h.Length > MaxPayload {
			t.Fatalf("a payload of %d bytes", h.Length)
		}
		if again := AppendHeader(nil, h); !bytes.Equal(again, b[:HeaderSize]) {
			t.Fatalf("%x became %x", b[:HeaderSize], again)
		}
		if _, known := typeNames[h.Type]; !known {
			t.Fatalf("accepted %v", h.Type)
		}
		// A whole frame goes through decode and encode. A description of a
		// head leaves out what a later version may put there (unknown request
		// flags); FuzzRequest and FuzzResponse look at those.
		d, rest, err := decode(b)
		if err != nil || h.Type == Request || h.Type == Response {
			return
		}
		if again := encode(t, d); !sameBytes(again, b[:len(b)-len(rest)]) {
			t.Fatalf("%x became %x", b[:len(b)-len(rest)], again)
		}
	})
}

func FuzzRequest(f *testing.F) {
	seed(f, Request, false)
	f.Fuzz(func(t *testing.T, payload []byte) {
		if len(payload) > MaxPayload {
			return
		}
		h, body, err := ParseRequest(payload)
		if err != nil {
			return
		}
		again := append(AppendRequestFixed(nil, &h, len(h.Text)), h.Text...)
		if again = append(again, body...); !bytes.Equal(again, payload) {
			t.Fatalf("%x became %x", payload, again)
		}
		// The strings that were counted are all there, and nothing else.
		block := Fields{Block: h.Text, Left: h.FieldCount}
		for range 5 {
			if _, err := block.Text(); err != nil {
				t.Fatalf("a string is missing in %q", h.Text)
			}
		}
		if fields, err := fields(block); err != nil || len(fields) != h.FieldCount {
			t.Fatalf("%d fields of %d: %v", len(fields), h.FieldCount, err)
		}
	})
}

func FuzzResponse(f *testing.F) {
	seed(f, Response, false)
	f.Fuzz(func(t *testing.T, payload []byte) {
		if len(payload) > MaxPayload {
			return
		}
		head, n, body, err := ParseResponse(payload)
		if err != nil {
			return
		}
		again := append(AppendResponseFixed(nil, len(head), n), head...)
		if again = append(again, body...); !bytes.Equal(again, payload) {
			t.Fatalf("%x became %x", payload, again)
		}
	})
}

// A block gives exactly the fields it announces or an error, and what it gave
// makes the block again.
func FuzzFields(f *testing.F) {
	seed(f, Trailers, false)
	f.Fuzz(func(t *testing.T, payload []byte) {
		if len(payload) > MaxPayload {
			return
		}
		block, err := ParseTrailers(payload)
		if err != nil {
			return
		}
		announced := block.Left
		again := AppendTrailersFixed(nil, announced)
		given := 0
		for {
			name, value, ok, err := block.Next()
			if err != nil {
				if given > announced {
					t.Fatalf("%d fields of %d", given, announced)
				}
				return
			}
			if !ok {
				break
			}
			given++
			again = append(append(append(append(again, name...), 0), value...), 0)
		}
		if given != announced || !bytes.Equal(again, payload) {
			t.Fatalf("%d fields of %d: %x became %x", given, announced, payload, again)
		}
		if _, _, ok, err := block.Next(); ok || err != nil {
			t.Fatal("there is something after the end")
		}
	})
}

// What is parsed fits its bounds, and is appended again as it was but for what
// does not fit.
func FuzzConnection(f *testing.F) {
	seed(f, Connection, false)
	f.Fuzz(func(t *testing.T, payload []byte) {
		if len(payload) > MaxPayload {
			return
		}
		c, err := ParseConnection(payload)
		if err != nil {
			return
		}
		if c.Presented > len(c.Certificates) || len(c.Certificates) > MaxCertificates || len(c.Chains) > MaxChains {
			t.Fatalf("%d of %d certificates, %d chains", c.Presented, len(c.Certificates), len(c.Chains))
		}
		for _, chain := range c.Chains {
			for _, i := range chain {
				_ = c.Certificates[i]
			}
		}
		again := AppendConnection(nil, &c)
		if len(again) > MaxPayload {
			t.Fatalf("%d bytes", len(again))
		}
		if len(payload) < MaxCertificateData && !bytes.Equal(again, payload) {
			t.Fatalf("%x became %x", payload, again)
		}
	})
}

// What is parsed of a fragment's first frame is appended again as it was.
func FuzzFragment(f *testing.F) {
	seed(f, Fragment, false)
	f.Fuzz(func(t *testing.T, payload []byte) {
		h, body, err := ParseFragmentHead(payload)
		if err != nil {
			return
		}
		if len(h.Name) == 0 || len(h.Name) > MaxFragmentName || len(h.Tags) > MaxFragmentTags {
			t.Fatalf("a name of %d bytes and tags of %d", len(h.Name), len(h.Tags))
		}
		if again := append(AppendFragmentHead(nil, &h), body...); !bytes.Equal(again, payload) {
			t.Fatalf("%x became %x", payload, again)
		}
	})
}

// Pieces that are walked to the end are appended again as they were.
func FuzzPieces(f *testing.F) {
	for _, v := range readVectors(f).Frames {
		if v.Frame.Pieces != nil && v.Frame.Type == "DATA" {
			f.Add(unhex(f, v.Hex)[HeaderSize:])
		}
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var again []byte
		for walk := (Pieces{Rest: body}); ; {
			p, ok, err := walk.Next()
			if err != nil {
				return
			}
			if !ok {
				break
			}
			if p.Name == nil {
				again = AppendPiece(again, p.Bytes)
			} else {
				again = AppendPieceOf(again, string(p.Name), p.Offset, p.Length)
			}
		}
		if !bytes.Equal(again, body) {
			t.Fatalf("%x became %x", body, again)
		}
	})
}
