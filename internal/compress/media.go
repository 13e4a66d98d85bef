package compress

import (
	"bytes"

	"github.com/httpsys/httpsys/internal/wire/message"
)

// compressible are the types outside text/ that are worth it, and are not
// compressed by themselves. Types that end in +json, +xml or +text (RFC 6839
// and the registry of structured suffixes) are, too.
var compressible = []string{
	"application/javascript",
	"application/x-javascript",
	"application/ecmascript",
	"application/json",
	"application/x-ndjson",
	"application/json-seq",
	"application/xml",
	"application/xml-dtd",
	"application/wasm",
	"application/rtf",
	"application/sql",
	"application/graphql",
	"application/x-sh",
	"application/yaml",
	"application/toml",
	"application/x-yaml",
	"application/vnd.ms-fontobject",
	"application/x-font-ttf",
	"application/x-font-opentype",
	"application/x-font-truetype",
	"font/ttf",
	"font/otf",
	"font/sfnt",
	"font/collection",
	"image/bmp",
	"image/x-icon",
	"image/vnd.microsoft.icon",
	"image/x-portable-bitmap",
	"model/obj",
	"model/stl",
	"message/http",
}

// Compressible says whether content of this type is worth compressing. value
// is that of a Content-Type field.
func Compressible(value []byte) bool {
	if i := bytes.IndexByte(value, ';'); i >= 0 {
		value = value[:i]
	}
	value = message.Trim(value)
	if len(value) > 5 && message.EqualFold(value[:5], "text/") {
		return true
	}
	if i := bytes.LastIndexByte(value, '+'); i >= 0 {
		switch s := value[i:]; {
		case message.EqualFold(s, "+json"), message.EqualFold(s, "+xml"), message.EqualFold(s, "+text"), message.EqualFold(s, "+yaml"):
			return true
		}
		return false
	}
	for _, t := range compressible {
		if message.EqualFold(value, t) {
			return true
		}
	}
	return false
}
