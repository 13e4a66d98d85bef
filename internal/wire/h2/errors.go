package h2

import "strconv"

// Code is an error code of RFC 9113 section 7.
type Code uint32

// The codes.
const (
	NoError            Code = 0x0
	ProtocolError      Code = 0x1
	InternalError      Code = 0x2
	FlowControlError   Code = 0x3
	SettingsTimeout    Code = 0x4
	StreamClosed       Code = 0x5
	FrameSizeError     Code = 0x6
	RefusedStream      Code = 0x7
	Cancel             Code = 0x8
	CompressionError   Code = 0x9
	ConnectError       Code = 0xa
	EnhanceYourCalm    Code = 0xb
	InadequateSecurity Code = 0xc
	HTTP11Required     Code = 0xd
)

// Error says why a peer's bytes were refused. Whether it ended the connection
// (Failed) or one stream (Reset) is said by the event that carries it. All errors are values
// of this package, none is made for an occasion, so that they can be counted by address.
type Error struct {
	Code   Code
	Status int    // for Refused: to answer with
	Reason string // one word for the error log, in the manner of HTTPERR
	Text   string // one sentence for people; GOAWAY carries it
	// Abuse is what the peer did too often, or at least Abuses if nothing.
	Abuse Abuse
}

func (e *Error) Error() string {
	return "HTTP/2 error " + strconv.Itoa(int(e.Code)) + " " + e.Reason + ": " + e.Text
}

func broken(code Code, reason, text string) *Error {
	return &Error{Code: code, Reason: reason, Text: text, Abuse: notAbuse}
}

// Errors of the connection.
var (
	ErrPreface         = broken(ProtocolError, "H2_Preface", "The connection preface is not that of HTTP/2.")
	ErrFrameSize       = broken(FrameSizeError, "H2_FrameSize", "A frame is longer than allowed.")
	ErrFrameLength     = broken(FrameSizeError, "H2_FrameSize", "A frame does not have the length of its type.")
	ErrStreamID        = broken(ProtocolError, "H2_StreamID", "A frame is on a stream where it cannot be.")
	ErrIdle            = broken(ProtocolError, "H2_StreamID", "A frame is on a stream that was never opened.")
	ErrClosed          = broken(StreamClosed, "H2_StreamClosed", "A frame is on a stream that the client has closed.")
	ErrPadding         = broken(ProtocolError, "H2_Padding", "The padding is longer than the frame.")
	ErrPush            = broken(ProtocolError, "H2_Push", "A client cannot push.")
	ErrHeaders         = broken(ProtocolError, "H2_Headers", "A header block is not followed by its CONTINUATION.")
	ErrContinuation    = broken(ProtocolError, "H2_Headers", "A CONTINUATION continues nothing.")
	ErrCompression     = broken(CompressionError, "H2_Compression", "A header block cannot be decoded.")
	ErrSetting         = broken(ProtocolError, "H2_Settings", "A setting has a value that it cannot have.")
	ErrInitialWindow   = broken(FlowControlError, "H2_Settings", "The initial window is above 2^31-1.")
	ErrWindow          = broken(FlowControlError, "H2_Window", "The client sent more than the window allows.")
	ErrWindowOverflow  = broken(FlowControlError, "H2_Window", "A window is above 2^31-1.")
	ErrZeroUpdate      = broken(ProtocolError, "H2_Window", "A WINDOW_UPDATE adds nothing.")
	ErrSettingsTimeout = broken(SettingsTimeout, "H2_Settings", "SETTINGS were not acknowledged.")
	ErrAck             = broken(ProtocolError, "H2_Settings", "SETTINGS are acknowledged that were never sent.")
	ErrHeaderWait      = broken(ProtocolError, "Timer_HeaderWait", "The preface or a header block took too long.")
	ErrPriority        = broken(ProtocolError, "H2_Priority", "A priority is for a stream that cannot have one.")
	ErrCipher          = broken(InadequateSecurity, "H2_Cipher", "The cipher suite is one that HTTP/2 forbids.")
)

// Errors of one stream.
var (
	ErrClientReset     = broken(Cancel, "H2_Reset", "The client reset the stream.")
	ErrHalfClosed      = broken(StreamClosed, "H2_StreamClosed", "A frame follows the end of the request.")
	ErrStreamWindow    = broken(FlowControlError, "H2_Window", "The client sent more than its stream allows.")
	ErrStreamOverflow  = broken(FlowControlError, "H2_Window", "The window of a stream is above 2^31-1.")
	ErrStreamUpdate    = broken(ProtocolError, "H2_Window", "A WINDOW_UPDATE adds nothing.")
	ErrDependency      = broken(ProtocolError, "H2_Priority", "A stream depends on itself.")
	ErrPriorityLength  = broken(FrameSizeError, "H2_FrameSize", "A PRIORITY frame does not have 5 bytes.")
	ErrRefused         = broken(RefusedStream, "H2_Refused", "There are too many streams.")
	ErrSlow            = broken(Cancel, "Timer_MinBytesPerSecond", "The client does not take the response.")
	ErrTooShort        = broken(ProtocolError, "H2_Length", "The content is shorter than its Content-Length.")
	ErrTooLong         = broken(ProtocolError, "H2_Length", "The content is longer than its Content-Length.")
	ErrTrailersEnd     = broken(ProtocolError, "H2_Trailers", "A trailer section does not end the stream.")
	ErrTrailerName     = broken(ProtocolError, "H2_Trailers", "A framing or routing field is in the trailer section.")
	ErrTrailerPseudo   = broken(ProtocolError, "H2_Trailers", "A pseudo-header field is in the trailer section.")
	ErrTrailersLong    = broken(EnhanceYourCalm, "H2_Trailers", "The trailer section is too long.")
	ErrName            = broken(ProtocolError, "Header", "A field name is not a token in lower case.")
	ErrValue           = broken(ProtocolError, "Header", "A field value has a control, or white space around it.")
	ErrConnectionField = broken(ProtocolError, "Header", "A field of HTTP/1 connections is in the header.")
	ErrTE              = broken(ProtocolError, "Header", "TE is not trailers.")
	ErrPseudo          = broken(ProtocolError, "H2_Pseudo", "A pseudo-header field is unknown or there twice.")
	ErrPseudoOrder     = broken(ProtocolError, "H2_Pseudo", "A pseudo-header field follows a header field.")
	ErrPseudoMissing   = broken(ProtocolError, "H2_Pseudo", "A pseudo-header field is missing.")
	ErrConnect         = broken(ProtocolError, "H2_Pseudo", "A CONNECT request has the wrong pseudo-header fields.")
	ErrMethod          = broken(ProtocolError, "Verb", "The request method is not a token.")
	ErrScheme          = broken(ProtocolError, "URL", "The scheme is neither http nor https.")
	ErrPath            = broken(ProtocolError, "URL", "The request target is invalid.")
	ErrHost            = broken(ProtocolError, "Hostname", "The request does not have exactly one valid authority.")
	ErrHostDiffers     = broken(ProtocolError, "Hostname", "Host is not the :authority.")
	ErrLength          = broken(ProtocolError, "Number", "Content-Length is not one number.")
)

// Requests that are well formed and yet not for an application. The owner of
// the connection answers.
var (
	ErrHeadLength = &Error{NoError, 431, "RequestLength", "The request header is too long.", notAbuse}
	ErrURLLength  = &Error{NoError, 414, "URL_Length", "The request target is too long.", notAbuse}
)
