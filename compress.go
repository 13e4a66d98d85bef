package httpsys

import "net/http"

// compressField is how a response tells the daemon, which keeps it to itself,
// whether it is to be compressed (docs/compression.md).
const compressField = "Httpsys-Compress"

// Compress lets the daemon compress this response for a client that takes it,
// whatever its media type is and whether or not Server.Compress is set. It is to be called
// before the head of the response is sent. The program vouches that the
// content does not have both a secret and something that others can choose: from the length of
// what is compressed they could tell one from the other.
//
// A response with Set-Cookie, with a Content-Encoding or a digest of its own,
// or with Cache-Control: no-transform is sent as it is all the same, and so is
// everything where an administrator has turned compression off.
func Compress(w http.ResponseWriter) { w.Header().Set(compressField, "on") }

// DoNotCompress keeps the daemon from compressing this response. It is to be
// called before the head of the response is sent.
func DoNotCompress(w http.ResponseWriter) { w.Header().Set(compressField, "off") }
