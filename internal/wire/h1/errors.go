package h1

import "strconv"

// Error says why a peer's bytes were refused. The connection must be closed
// after it: where the next message starts is not known any more. All errors
// are values of this package, none is made for an occasion.
type Error struct {
	Status int    // to answer with
	Reason string // one word for the error log, in the manner of HTTPERR
	Text   string // one sentence for people
}

func (e *Error) Error() string { return strconv.Itoa(e.Status) + " " + e.Reason + ": " + e.Text }

// The errors of a request head.
var (
	ErrVerb         = &Error{400, "Verb", "The request method is not a token followed by one space."}
	ErrVerbLength   = &Error{501, "Verb", "The request method is too long."}
	ErrURL          = &Error{400, "URL", "The request target is invalid."}
	ErrURLLength    = &Error{414, "URL_Length", "The request target is too long."}
	ErrRequestLine  = &Error{400, "BadRequest", "The request line does not end in an HTTP version."}
	ErrVersion      = &Error{505, "Version_N/S", "The HTTP version is not supported."}
	ErrPreface      = &Error{505, "Version_N/S", "HTTP/2 is not spoken here."}
	ErrBlankLines   = &Error{400, "BadRequest", "There are too many empty lines before the request."}
	ErrCRLF         = &Error{400, "Invalid_CR/LF", "A line does not end in CR LF."}
	ErrName         = &Error{400, "Header", "A field name is not a token followed by a colon."}
	ErrValue        = &Error{400, "Header", "A field value has a control character."}
	ErrFold         = &Error{400, "Header", "A field line begins with white space."}
	ErrFieldLength  = &Error{431, "FieldLength", "A header field is too long."}
	ErrFields       = &Error{431, "RequestLength", "There are too many header fields."}
	ErrHeadLength   = &Error{431, "RequestLength", "The request header is too long."}
	ErrHost         = &Error{400, "Hostname", "The request does not have exactly one valid Host."}
	ErrLength       = &Error{400, "Number", "Content-Length is not one number."}
	ErrCoding       = &Error{501, "N/I", "The transfer coding is not supported."}
	ErrCodingOrder  = &Error{400, "Header", "Transfer-Encoding is not the one coding chunked."}
	ErrCoding10     = &Error{400, "Header", "Transfer-Encoding is not defined for HTTP/1.0."}
	ErrCodingLength = &Error{400, "Header", "The request has both Transfer-Encoding and Content-Length."}
	ErrConnectBody  = &Error{400, "Header", "A CONNECT request has no content."}
)

// The errors of content.
var (
	ErrChunkSize     = &Error{400, "Number", "A chunk size is not a hexadecimal number in bounds."}
	ErrChunkExt      = &Error{400, "BadRequest", "A chunk extension is malformed."}
	ErrChunkExtLong  = &Error{413, "EntityTooLarge", "The chunk extensions are too long."}
	ErrChunkEnd      = &Error{400, "Invalid_CR/LF", "A chunk does not end in CR LF."}
	ErrTrailerLength = &Error{431, "RequestLength", "The trailer section is too long."}
	ErrTrailerName   = &Error{400, "Header", "A framing or routing field is in the trailer section."}
)

// asError avoids a non-nil error that holds a nil *Error.
func asError(e *Error) error {
	if e == nil {
		return nil
	}
	return e
}
