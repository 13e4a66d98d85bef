package compress

import "github.com/httpsys/httpsys/internal/wire/message"

// Head is room for the head of a response that is changed, to be used again
// and again. The response that it was made from stays as it is.
type Head struct {
	message.Response
	etag []byte
}

var (
	vary            = []byte("Vary")
	acceptEncoding  = []byte("Accept-Encoding")
	contentEncoding = []byte("Content-Encoding")

	codingValues = [codings][]byte{nil, []byte("zstd"), []byte("gzip"), []byte("br")}
)

// Edit returns a copy of r as the verdict wants it, which is valid until the
// next Edit:
//
//   - Vary has Accept-Encoding, since the choice depends on it (RFC 9110 12.5.5);
//   - but for Mark, a strong ETag is made weak: it named the bytes that the
//     application made (RFC 9110 8.8.3.3);
//   - for Announce and Encode, Content-Encoding says how; Content-Length and Accept-Ranges, which
//     spoke of other bytes, go.
func (h *Head) Edit(v Verdict, c Coding, r *message.Response) *message.Response {
	fields := h.Fields[:0]
	h.Response = *r
	coded := v == Announce || v == Encode
	varies := false
	for i := range r.Fields {
		f := r.Fields[i]
		switch len(f.Name) {
		case len("vary"):
			switch {
			case message.EqualFold(f.Name, "vary"):
				varies = varies || message.HasToken(f.Value, "accept-encoding") || message.HasToken(f.Value, "*")
			case v != Mark && message.EqualFold(f.Name, "etag") && len(f.Value) > 0 && f.Value[0] == '"':
				h.etag = append(append(h.etag[:0], "W/"...), f.Value...)
				f.Value = h.etag
			}
		case len("accept-ranges"):
			if coded && message.EqualFold(f.Name, "accept-ranges") {
				continue
			}
		}
		if coded && i == r.LengthAt {
			continue
		}
		fields = append(fields, f)
	}
	if coded {
		h.ContentLength, h.LengthAt = -1, -1
		fields = append(fields, message.Field{Name: contentEncoding, Value: codingValues[c]})
	} else if h.LengthAt >= 0 {
		h.LengthAt = r.LengthAt // nothing before it has gone
	}
	if !varies {
		fields = append(fields, message.Field{Name: vary, Value: acceptEncoding})
	}
	h.Fields = fields
	return &h.Response
}
