package channel

// The JSON payloads of HELLO, WELCOME, CALL and REPLY; docs/channel.md
// sections 2 and 3. This file holds only their shape; encoding/json does the
// rest, these frames are rare.

import "encoding/json"

// HelloMessage is what an application says first on a connection.
type HelloMessage struct {
	Protocol int    `json:"protocol"`
	Role     string `json:"role"` // "session" or "loop"
	Program  string `json:"program,omitempty"`
	Session  string `json:"session,omitempty"`
	Loop     int    `json:"loop,omitempty"`
	Window   uint32 `json:"window,omitempty"`
	Credit   uint32 `json:"credit,omitempty"`
	// Connections is what a loop is told of the connections of clients.
	Connections string `json:"connections,omitempty"`
}

// What a loop may ask to be told of; docs/channel.md section 4.1.
const (
	ConnectionsNone = ""    // nothing
	ConnectionsTLS  = "tls" // of those with TLS
	ConnectionsAll  = "all" // of all
)

// Roles of a connection.
const (
	RoleSession = "session"
	RoleLoop    = "loop"
)

// WelcomeMessage is the daemon's answer.
type WelcomeMessage struct {
	Protocol     int      `json:"protocol"`
	Daemon       string   `json:"daemon,omitempty"`
	Session      string   `json:"session,omitempty"`
	Loops        int      `json:"loops,omitempty"`
	Capabilities []string `json:"capabilities,omitempty"`
	Window       uint32   `json:"window,omitempty"`
}

// CallMessage is a call on a session.
type CallMessage struct {
	Method string          `json:"method"`
	Params json.RawMessage `json:"params,omitempty"`
}

// ReplyMessage answers a call: exactly one member is set.
type ReplyMessage struct {
	Result json.RawMessage `json:"result,omitempty"`
	Error  *Error          `json:"error,omitempty"`
}

// Code is the kind of an error, for decisions; the message is for people.
type Code string

// The codes; docs/channel.md section 3.1.
const (
	InvalidParameter    Code = "invalid_parameter"
	AccessDenied        Code = "access_denied"
	AlreadyExists       Code = "already_exists"
	NotFound            Code = "not_found"
	PortInUse           Code = "port_in_use"
	AddressNotAvailable Code = "address_not_available"
	Unsupported         Code = "unsupported"
	Limit               Code = "limit"
	Internal            Code = "internal"
)

// Error is an error that crosses the channel intact.
type Error struct {
	Code    Code   `json:"code"`
	Message string `json:"message"`
}

func (e *Error) Error() string { return e.Message }

// RegisterParams are the parameters of the call "register".
type RegisterParams struct {
	URL      string    `json:"url"`
	Queue    string    `json:"queue,omitempty"`
	Limit    int       `json:"limit,omitempty"`
	MaxAgeMS *int64    `json:"max_age_ms,omitempty"`
	Timeouts *Timeouts `json:"timeouts,omitempty"`
	// ErrorPages false leaves out the pages of the daemon's own answers, RequireHost
	// false takes HTTP/1.1 requests without Host.
	ErrorPages  *bool `json:"error_pages,omitempty"`
	RequireHost *bool `json:"require_host,omitempty"`
	// CacheDurationMS is how long responses are stored that say nothing about
	// caching; 0: they are not. Of several processes that share a prefix, the first decides.
	CacheDurationMS int64 `json:"cache_duration_ms,omitempty"`
	// Certificate is for an https prefix where no administrator has bound one.
	Certificate *Certificate `json:"certificate,omitempty"`
	// ClientCertificate says who may come; see ClientCertificateTrusted.
	ClientCertificate string `json:"client_certificate,omitempty"`
	// OpaqueLimit is how many connections in opaque mode may be relayed at once;
	// 0: the daemon's default. Set by the creator of the queue.
	OpaqueLimit int `json:"opaque_limit,omitempty"`
	// Compress: responses are compressed for clients that take it.
	Compress bool `json:"compress,omitempty"`
	// Affinity keeps the requests of one client with one worker. Set by the creator of
	// the queue.
	Affinity *Affinity `json:"affinity,omitempty"`
	// Tell lists what the program wants to see of clients that the daemon deals with
	// alone otherwise; see TellAccepted.
	Tell []string `json:"tell,omitzero"`
}

// The words of Tell (docs/channel.md section 3.6). They are for prefixes that have
// a whole port, and hold while no other registration is on it.
const (
	TellAccepted = "accepted" // connections when they come, and not with their first request
	TellUnparsed = "unparsed" // what is not valid HTTP, as a connection without HTTP
	TellUpgrade  = "upgrade"  // so also upgrades with something behind their head
	TellAhead    = "ahead"    // that a client goes on to send before it has its answer

	// TellPipelined: requests with something behind them, as a connection without HTTP.
	TellPipelined = "pipelined"
)

// Affinity says what requests are kept together by (docs/channel.md section 3.2).
type Affinity struct {
	Query   string `json:"query,omitempty"`   // a parameter of the query
	Cookie  string `json:"cookie,omitempty"`  // a cookie
	Address bool   `json:"address,omitempty"` // the client's address
}

// FlushParams are the parameters of "flush": what is stored for URL, or with
// Recursive for all below it, or what carries Tag; with both, what meets both.
type FlushParams struct {
	URL       string `json:"url,omitempty"`
	Recursive bool   `json:"recursive,omitempty"`
	Tag       string `json:"tag,omitempty"`
}

// FlushResult says how many responses went.
type FlushResult struct {
	Flushed int `json:"flushed"`
}

// FragmentParams are the parameters of "delete_fragment".
type FragmentParams struct {
	URL string `json:"url"`
}

// FragmentResult answers a FRAGMENT: the name in canonical form.
type FragmentResult struct {
	URL string `json:"url"`
}

// ReadFragmentParams are the parameters of "read_fragment": Length bytes from Offset, or what there is
// of them; Length 0 asks for as many as one answer holds.
type ReadFragmentParams struct {
	URL    string `json:"url"`
	Offset int64  `json:"offset,omitempty"`
	Length int64  `json:"length,omitempty"`
}

// ReadFragmentResult answers it. Data is in base64 on the wire.
type ReadFragmentResult struct {
	Size int64  `json:"size"` // of the whole
	Data []byte `json:"data"`
}

// Certificate is a program's own (docs/channel.md section 3.2).
type Certificate struct {
	PEM          []string `json:"pem"` // each: certificate, its issuers, its key
	AskClient    bool     `json:"ask_client,omitempty"`
	Authorities  string   `json:"authorities,omitempty"` // PEM; of client certificates
	DisableHTTP2 bool     `json:"disable_http2,omitempty"`
	// What is spoken, by IANA's numbers; 0 and nil: what the daemon speaks anyway.
	MinVersion   uint16   `json:"min_version,omitempty"`
	MaxVersion   uint16   `json:"max_version,omitempty"`
	CipherSuites []uint16 `json:"cipher_suites,omitempty"` // of TLS 1.2 and before
	Groups       []uint16 `json:"groups,omitempty"`        // of the key exchange
}

// Who may come to a registration, in RegisterParams.ClientCertificate.
const (
	ClientCertificateAny     = ""        // everybody: the application decides; the same as "any"
	ClientCertificateTrusted = "trusted" // who has shown a trusted certificate; others get 403
)

// Timeouts override the machine's for the requests of one registration; nil
// inherits and 0 turns off (docs/channel.md section 3.2).
type Timeouts struct {
	EntityBodyMS      *int64 `json:"entity_body_ms,omitempty"`
	DrainEntityBodyMS *int64 `json:"drain_entity_body_ms,omitempty"`
	IdleConnectionMS  *int64 `json:"idle_connection_ms,omitempty"`
	HeaderWaitMS      *int64 `json:"header_wait_ms,omitempty"`
	MinSendRate       *int64 `json:"min_send_rate,omitempty"` // bytes per second
	MaxBody           *int64 `json:"max_body,omitempty"`      // bytes
	OpaqueIdleMS      *int64 `json:"opaque_idle_ms,omitempty"`
}

// RegisterResult answers "register".
type RegisterResult struct {
	ID    uint32 `json:"id"`
	URL   string `json:"url"`
	Queue string `json:"queue"`
}

// UnregisterParams are the parameters of the call "unregister".
type UnregisterParams struct {
	ID uint32 `json:"id"`
}
