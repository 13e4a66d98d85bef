package control

import (
	"github.com/httpsys/httpsys/internal/certs"
	"github.com/httpsys/httpsys/internal/certs/localca"
	"github.com/httpsys/httpsys/internal/config"
)

// The methods of administration.
const (
	AddURLACL    = "add urlacl"
	UpdateURLACL = "update urlacl"
	DeleteURLACL = "delete urlacl"
	ShowURLACL   = "show urlacl"

	AddTimeout    = "add timeout"
	DeleteTimeout = "delete timeout"
	ShowTimeout   = "show timeout"

	AddSetting    = "add setting"
	DeleteSetting = "delete setting"
	ShowSetting   = "show setting"

	AddCacheParam    = "add cacheparam"
	DeleteCacheParam = "delete cacheparam"
	ShowCacheParam   = "show cacheparam"

	ShowCacheState = "show cachestate"
	DeleteCache    = "delete cache"

	AddIPListen    = "add iplisten"
	DeleteIPListen = "delete iplisten"
	ShowIPListen   = "show iplisten"

	AddSSLCert    = "add sslcert"
	UpdateSSLCert = "update sslcert"
	DeleteSSLCert = "delete sslcert"
	ShowSSLCert   = "show sslcert"
	ShowCA        = "show ca"

	AddClientCert    = "add clientcert"
	DeleteClientCert = "delete clientcert"
	ShowClientCert   = "show clientcert"

	ShowServiceState = "show servicestate"
	Dump             = "dump"
)

// URLACLParams are the parameters of the calls on reservations: grants for
// "add" and "update" only; no url for "show" means all.
type URLACLParams struct {
	URL    string         `json:"url,omitempty"`
	Grants []config.Grant `json:"grants,omitempty"`
}

// URLACLResult answers "show urlacl", in the order in which the reservations
// were made.
type URLACLResult struct {
	URLACL []config.URLACL `json:"urlacl"`
}

// NumberParams are the parameters of the calls on timeouts and settings: the
// name as it is in config.Timeouts or config.Settings, and for "add" the value
// in its unit; 0 is off.
type NumberParams struct {
	Name  string `json:"name"`
	Value *int64 `json:"value,omitempty"`
}

// Number is one timeout or setting with its value, which is in force.
type Number struct {
	Name    string `json:"name"`
	Value   int64  `json:"value"` // 0: off
	Unit    string `json:"unit"`
	Default int64  `json:"default"`
	Set     bool   `json:"set"` // by an administrator
}

// TimeoutResult answers "show timeout".
type TimeoutResult struct {
	Timeouts []Number `json:"timeouts"`
}

// SettingResult answers "show setting".
type SettingResult struct {
	Settings []Number `json:"settings"`
}

// CacheParamResult answers "show cacheparam".
type CacheParamResult struct {
	CacheParams []Number `json:"cacheparams"`
}

// IPListenParams are the parameters of "add iplisten" and "delete iplisten".
type IPListenParams struct {
	IPAddress string `json:"ipaddress"`
}

// IPListenResult answers "show iplisten".
type IPListenResult struct {
	IPListen []string `json:"iplisten"`
}

// SSLCertKey names a binding: with exactly one member, but for "show sslcert",
// where none means all. The parameters of "add sslcert" and "update sslcert" are
// a config.SSLCert.
type SSLCertKey struct {
	IPPort       string `json:"ipport,omitempty"`
	HostnamePort string `json:"hostnameport,omitempty"`
	CCS          string `json:"ccs,omitempty"`
}

// SSLCertChanged answers "add sslcert" and "update sslcert".
type SSLCertChanged struct {
	Warnings []string `json:"warnings,omitempty"` // it can be used, but clients may complain
}

// SSLCertResult answers "show sslcert", in the order in which the bindings were
// made.
type SSLCertResult struct {
	SSLCert []certs.Info `json:"sslcert"`
	// Programs are the certificates that programs have brought along, if all
	// bindings are asked for. They hold where no binding does.
	Programs []certs.OfferInfo `json:"programs,omitempty"`
}

// ClientCertParams are the parameters of "delete clientcert" and "show clientcert";
// no url for "show" means all. Those of "add clientcert" are a
// config.ClientCertPolicy, whose require may be absent.
type ClientCertParams struct {
	URL string `json:"url,omitempty"`
}

// ClientCertResult answers "show clientcert".
type ClientCertResult struct {
	ClientCert []config.ClientCertPolicy `json:"clientcert"`
}

// CAResult answers "show ca".
type CAResult struct {
	CA localca.Info `json:"ca"`
}

// DumpResult answers "dump".
type DumpResult struct {
	State *config.State `json:"state"`
}

// Empty is the result of the calls that only do something.
type Empty struct{}
