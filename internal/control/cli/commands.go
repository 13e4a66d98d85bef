package cli

import (
	"fmt"
	"strings"

	"github.com/httpsys/httpsys/internal/config"
)

// command is one command of the form VERB OBJECT [tag=value …].
type command struct {
	verb, object string
	short        string   // one line
	long         string   // what there is to know beyond it
	rights       string   // who may do it
	tags         []tag    // in the order in which values alone are taken
	examples     []string // whole command lines
	json         bool     // has --json
	run          func(*run) error
}

const rootHelp = `httpsys owns the HTTP ports of a machine. Programs register URL prefixes with it and receive
exactly the requests that match; administrators use the commands of "netsh http".

Arguments are written tag=value, in any order; upper and lower case are the same in commands and tags.
Values alone are taken in the order of the usage line.`

const serveHelp = `Runs the daemon in the foreground until SIGTERM or SIGINT. It is ready when its socket accepts
connections; it then prints one line, "httpsys: ready on PATH".

The socket is --socket, else $HTTPSYS_SOCKET, else /run/httpsys/httpsys.sock for root,
$XDG_RUNTIME_DIR/httpsys/httpsys.sock for other users, or /tmp/httpsys-UID/httpsys.sock.
The data folder is --data, else /var/lib/httpsys for root and $XDG_STATE_HOME/httpsys
(~/.local/state/httpsys) for other users. It holds config.json; one daemon at a time can use it.`

var verbHelp = map[string]string{
	"add":    "Add something to the configuration",
	"update": "Change something in the configuration",
	"delete": "Take something out of the configuration",
	"show":   "Show the configuration and the state of the service",
}

const (
	forAdmins   = "Administrators: root and the user of the daemon."
	forDelegate = "Administrators (root and the user of the daemon), and users to whom the reservation above it grants delegate."
	forAll      = "Everyone."
)

var (
	urlTag = tag{name: "url", value: "URL", required: true,
		help: "the URL prefix, like http://+:80/app/"}
	userTag = tag{name: "user", value: "USER", repeat: true, values: []string{config.Everyone},
		help: "a user by name or number, or everyone; may be repeated"}
	listenTag = tag{name: "listen", value: "yes|no", repeat: true, values: []string{"yes", "no"},
		help: "may register prefixes there (default yes); no forbids it, even if another grant allows it"}
	delegateTag = tag{name: "delegate", value: "yes|no", repeat: true, values: []string{"yes", "no"},
		help: "may make reservations below it (default no)"}
	groupTag = tag{name: "group", value: "GROUP", repeat: true,
		help: "a group by name or number; may be repeated"}
	grantTags = []tag{urlTag, userTag, listenTag, delegateTag, groupTag}

	timeoutTag = tag{name: "timeouttype", value: "TYPE", required: true, values: names(config.Timeouts),
		help: "which one: " + strings.Join(names(config.Timeouts), ", ")}
	settingTag = tag{name: "settingtype", value: "TYPE", required: true, values: names(config.Settings),
		help: "which one: " + strings.Join(names(config.Settings), ", ")}
	cacheParamTag = tag{name: "type", value: "TYPE", required: true, values: names(config.CacheParams),
		help: "which one: " + strings.Join(names(config.CacheParams), ", ")}
	storedTag  = tag{name: "url", value: "URL", help: "a URL as clients ask for it, like http://localhost:80/app/page"}
	addressTag = tag{name: "ipaddress", alias: "address", value: "IP", required: true,
		help: "an IPv4 or IPv6 address without a port; 0.0.0.0 and :: are all of a family"}

	bindingTags = []tag{
		{name: "ipport", value: "IP:PORT", help: "an address with a port, like 192.0.2.1:443; 0.0.0.0:443 and [::]:443 are all addresses of a family"},
		{name: "hostnameport", value: "NAME:PORT", help: "a name that clients ask for (SNI), with a port; *.example.com:443 is for all names one label below"},
		{name: "ccs", value: "PORT", help: "a central store: certificates for all names on a port, from a folder"},
	}
	sslcertTags = append(append([]tag{}, bindingTags...),
		tag{name: "cert", value: "FILE", repeat: true, help: "certificate in PEM, followed by those that issued it; may be repeated, each time with another kind of key (ECDSA, RSA)"},
		tag{name: "key", value: "FILE", repeat: true, help: "private key of the cert= before it, in PEM (default: in the same file)"},
		tag{name: "store", value: "FOLDER", help: "for ccs=: NAME.pem, or NAME.crt and NAME.key; _.example.com.pem is for all names one label below"},
		tag{name: "selfsigned", value: "yes|no", values: []string{"yes", "no"}, help: "yes: a certificate from the authority of this machine, for development"},
		tag{name: "acme", value: "EMAIL", help: "get the certificate from a certificate authority on the network (ACME), for this address of yours"},
		tag{name: "directory", value: "URL", help: "of that authority (default: Let's Encrypt)"},
		tag{name: "root", value: "FILE", help: "authority of the directory's own certificate, in PEM, where it is not a public one"},
		tag{name: "appid", value: "ID", help: "who made the binding: a GUID in braces, or a word; kept and shown"},
		switchTag("clientcertnegotiation", "ask clients for a certificate; the application gets it, with a verdict (default disable)"),
		tag{name: "sslctlstorename", value: "FILE", help: "the authorities in PEM whose client certificates are trusted (default: those of the system)"},
		switchTag("verifyclientcertrevocation", "look whether a client's certificate was revoked, where crl= or ocsp= tell (default enable)"),
		switchTag("usagecheck", "a client's certificate must be for clients (default enable)"),
		tag{name: "crl", value: "FILE", repeat: true, help: "revocation lists, in PEM or DER; may be repeated"},
		switchTag("ocsp", "ask the OCSP responders that client certificates name (default disable)"),
		switchTag("disablehttp2", "HTTP/1.1 only (default disable)"),
		switchTag("disabletls12", "TLS 1.3 only (default disable)"),
		switchTag("disabletls13", "TLS 1.2 only (default disable)"),
	)
)

func switchTag(name, help string) tag {
	return tag{name: name, value: "enable|disable", values: []string{"enable", "disable"}, help: help}
}

// commands are all commands that talk to the daemon, in the order of the manual.
var commands = []command{
	{
		verb: "add", object: "urlacl", tags: grantTags, run: (*run).addURLACL, rights: forDelegate,
		short: "Reserve a URL prefix for users and groups",
		long: `Only they may register prefixes at or below it. Without a reservation every user may register
on ports from 1024 up, and only administrators below. The longest reservation decides; reservations for "+", for a
host name, for an address and for "*" are independent of each other. Nothing is inherited from the reservation above.

A prefix of the scheme tcp or tls is a port whose connections are not HTTP: tcp://+:9000/, always with the path /.

listen= and delegate= belong to the user= or group= before them; before the first, they hold for all. Names are looked
up whenever they are used: a right belongs to whoever has the name then.`,
		examples: []string{
			"httpsys add urlacl url=http://+:80/app/ user=alice",
			"httpsys add urlacl url=http://+:80/shop/ user=alice delegate=yes group=www",
			"httpsys add urlacl http://www.example.org:80/ alice",
			"httpsys add urlacl url=tcp://+:9000/ user=alice",
		},
	},
	{
		verb: "update", object: "urlacl", tags: grantTags, run: (*run).updateURLACL, rights: forDelegate,
		short: "Change for whom a URL prefix is reserved",
		long: `The users and groups replace those that the reservation had; the parameters are those of add urlacl. What
is registered already stays registered.`,
		examples: []string{"httpsys update urlacl url=http://+:80/app/ user=alice user=bob"},
	},
	{
		verb: "delete", object: "urlacl", tags: []tag{urlTag}, run: (*run).deleteURLACL, rights: forDelegate,
		short:    "Delete the reservation of a URL prefix",
		long:     `What is registered already stays registered.`,
		examples: []string{"httpsys delete urlacl url=http://+:80/app/"},
	},
	{
		verb: "show", object: "urlacl", tags: []tag{optional(urlTag)}, json: true, run: (*run).showURLACL, rights: forAll,
		short:    "Show reservations of URL prefixes",
		long:     `Without url= all of them, in the order in which they were made.`,
		examples: []string{"httpsys show urlacl", "httpsys show urlacl url=http://+:80/app/ --json"},
	},
	{
		verb: "show", object: "servicestate", json: true, run: (*run).showServiceState, rights: forAll,
		tags: []tag{
			{name: "view", value: "session|requestq", values: []string{"session", "requestq"},
				help: "what comes first: sessions (the default) or request queues"},
			{name: "verbose", value: "yes|no", values: []string{"yes", "no"},
				help: "with properties (the default) or without"},
		},
		short:    "Show queues, workers, registered prefixes and open ports",
		long:     `A snapshot of what runs now. With --json both views are the same.`,
		examples: []string{"httpsys show servicestate view=requestq", "httpsys show servicestate --json"},
	},
	{
		verb: "add", object: "timeout", run: timeouts.add, rights: forAdmins,
		tags: []tag{timeoutTag, {name: "value", value: "NUMBER|off", required: true, values: []string{"off"},
			help: "seconds; for minsendrate bytes per second. off, or HTTP.SYS's number for it, means no limit"}},
		short: "Set a timeout of the machine",
		long: `It holds at once, also for connections that are open, from the next time that the timer starts there;
requestqueuetimeout for requests that wait already, in queues whose program has not set a limit of its own.`,
		examples: []string{"httpsys add timeout timeouttype=idleconnectiontimeout value=60"},
	},
	{
		verb: "delete", object: "timeout", tags: []tag{timeoutTag}, run: timeouts.delete, rights: forAdmins,
		short:    "Give a timeout its default back",
		examples: []string{"httpsys delete timeout timeouttype=idleconnectiontimeout"},
	},
	{
		verb: "show", object: "timeout", json: true, run: (*run).showTimeout, rights: forAll,
		short:    "Show the timeouts of the machine",
		examples: []string{"httpsys show timeout"},
	},
	{
		verb: "add", object: "setting", run: settings.add, rights: forAdmins,
		tags: []tag{settingTag, {name: "value", value: "NUMBER", required: true,
			help: "in the unit of the setting, see the table; off is possible for http2settingswait and compression only"}},
		short:    "Set a limit on what clients may send, or how responses are compressed",
		long:     `It holds at once, from the next request on.`,
		examples: []string{"httpsys add setting settingtype=maxrequestbytes value=65536", "httpsys add setting settingtype=compression value=off"},
	},
	{
		verb: "delete", object: "setting", tags: []tag{settingTag}, run: settings.delete, rights: forAdmins,
		short:    "Give a setting its default back",
		examples: []string{"httpsys delete setting settingtype=maxrequestbytes"},
	},
	{
		verb: "show", object: "setting", json: true, run: (*run).showSetting, rights: forAll,
		short:    "Show the limits on what clients may send, and the other settings",
		examples: []string{"httpsys show setting"},
	},
	{
		verb: "add", object: "cacheparam", run: cacheParams.add, rights: forAdmins,
		tags: []tag{cacheParamTag, {name: "value", value: "NUMBER|off", required: true, values: []string{"off"},
			help: "in the unit of the parameter, see the table; off is possible for all but maxcacheresponsesize"}},
		short:    "Set a parameter of the response cache",
		long:     `It holds at once: what is too much goes. With maxcachesize off nothing is stored.`,
		examples: []string{"httpsys add cacheparam type=maxcachesize value=268435456"},
	},
	{
		verb: "delete", object: "cacheparam", tags: []tag{cacheParamTag}, run: cacheParams.delete, rights: forAdmins,
		short:    "Give a parameter of the response cache its default back",
		examples: []string{"httpsys delete cacheparam type=maxcachesize"},
	},
	{
		verb: "show", object: "cacheparam", json: true, run: (*run).showCacheParam, rights: forAll,
		short:    "Show the parameters of the response cache",
		examples: []string{"httpsys show cacheparam"},
	},
	{
		verb: "show", object: "cachestate", json: true, run: (*run).showCacheState, rights: forAll, tags: []tag{storedTag},
		short: "Show the responses that are stored, and what the cache did for each prefix",
		long: `With url= only what is stored for that URL and below it. URLs are shown in canonical form; variants that Vary
tells apart are shown one by one, and so are fragments, of which responses are made. At most 10000 are listed: those
that the caller's own queues have, and for administrators all.`,
		examples: []string{"httpsys show cachestate", "httpsys show cachestate url=http://localhost:80/app/ --json"},
	},
	{
		verb: "delete", object: "cache", run: (*run).deleteCache, rights: forAdmins,
		tags: []tag{storedTag,
			{name: "recursive", value: "yes|no", values: []string{"yes", "no"}, help: "with all below the URL (default no)"},
			{name: "tag", value: "TAG", help: "what responses carry it in Cache-Tag"}},
		short: "Remove stored responses",
		long: `Without arguments all of them. A response that is being fetched at this moment is not stored either if this
would have removed it.`,
		examples: []string{
			"httpsys delete cache",
			"httpsys delete cache url=http://localhost:80/app/ recursive=yes",
			"httpsys delete cache tag=product-17",
		},
	},
	{
		verb: "add", object: "iplisten", tags: []tag{addressTag}, run: (*run).addIPListen, rights: forAdmins,
		short: "Add an address to those that ports are opened on",
		long: `While the list is empty ports are opened on all addresses of the machine, or on the loopback addresses alone
if all prefixes of the port are for those. Ports that are open change at once; if one cannot be opened so, nothing
changes, and the error says why.`,
		examples: []string{"httpsys add iplisten ipaddress=192.0.2.1"},
	},
	{
		verb: "delete", object: "iplisten", tags: []tag{addressTag}, run: (*run).deleteIPListen, rights: forAdmins,
		short:    "Take an address out of the listen list",
		examples: []string{"httpsys delete iplisten ipaddress=192.0.2.1"},
	},
	{
		verb: "show", object: "iplisten", json: true, run: (*run).showIPListen, rights: forAll,
		short:    "Show the listen list",
		examples: []string{"httpsys show iplisten"},
	},
	{
		verb: "add", object: "sslcert", tags: sslcertTags, run: (*run).addSSLCert, rights: forAdmins,
		short: "Bind a certificate to an address, to a name, or to all names on a port",
		long: `A client that asks for a name gets the certificate of the first of these that there is: hostnameport= of the
name, hostnameport= of the wildcard above it, ipport= of the address that it came to, ipport= of all addresses of the
family, the file for the name in the folder of ccs=. Where there is none, or only one that cannot be used, the handshake
fails with the alert unrecognized_name. Programs that register https:// prefixes need nothing of this: they hold no keys.

With acme= the daemon gets the certificate by itself, and a new one before it ends. The authority must be able to reach
this machine by the name, on port 80 or 443; its questions are answered whatever programs have registered there. Who gives
acme= agrees to the terms of the authority. httpsys show sslcert says what it is waiting for.

Files are checked when they are bound, and looked at again every few seconds: what is changed holds for new connections,
without a restart. A change that cannot be used leaves what was there before in force, and is logged and shown.`,
		examples: []string{
			"httpsys add sslcert ipport=0.0.0.0:443 cert=/etc/ssl/server.pem key=/etc/ssl/private/server.key",
			"httpsys add sslcert hostnameport=www.example.com:443 cert=/etc/ssl/www.pem cert=/etc/ssl/www-rsa.pem",
			"httpsys add sslcert ccs=443 store=/etc/ssl/hosts",
			"httpsys add sslcert hostnameport=www.example.com:443 acme=me@example.com",
			"httpsys add sslcert hostnameport=app.localhost:8443 selfsigned=yes",
		},
	},
	{
		verb: "update", object: "sslcert", tags: sslcertTags, run: (*run).updateSSLCert, rights: forAdmins,
		short: "Replace a binding",
		long: `What is not given has its default, as in add sslcert. Connections that exist keep the certificate that they have
been shown; there is no moment without one.`,
		examples: []string{"httpsys update sslcert ipport=0.0.0.0:443 cert=/etc/ssl/new.pem disabletls12=enable"},
	},
	{
		verb: "delete", object: "sslcert", tags: bindingTags, run: (*run).deleteSSLCert, rights: forAdmins,
		short:    "Delete a binding",
		long:     `The files stay, and so do the connections that were made with it.`,
		examples: []string{"httpsys delete sslcert ipport=0.0.0.0:443"},
	},
	{
		verb: "show", object: "sslcert", tags: bindingTags, json: true, run: (*run).showSSLCert, rights: forAll,
		short: "Show the bindings with their certificates",
		long: `Warnings are about certificates that end soon, are not for the name that they are bound to, or that clients do not
accept; an error says why a binding, or the latest change of its files, cannot be used.`,
		examples: []string{"httpsys show sslcert", "httpsys show sslcert hostnameport=www.example.com:443"},
	},
	{
		verb: "add", object: "clientcert", tags: []tag{urlTag,
			{name: "require", value: "trusted", values: []string{"trusted"}, help: "trusted (the default): clients without a trusted certificate get 403"},
		}, run: (*run).addClientCert, rights: forAdmins,
		short: "Demand a trusted client certificate below a URL prefix",
		long: `The daemon answers 403 by itself, and the program never sees the request. It holds for every request whose URL is at
or below the prefix, whoever serves it, from now on. Hosts are compared as in registrations: a demand for one name says nothing
about requests for another, so use + if a program is registered for all names. Clients are asked for certificates where the
certificate binding says clientcertnegotiation=enable, and what is trusted is said there. The certificate counts for the
binding under which it was shown: a request for a host that has another binding gets 421. Programs can demand the same for
their own prefixes.`,
		examples: []string{"httpsys add clientcert url=https://+:443/admin/"},
	},
	{
		verb: "delete", object: "clientcert", tags: []tag{urlTag}, run: (*run).deleteClientCert, rights: forAdmins,
		short:    "Demand no client certificates any more",
		long:     `What programs demand for themselves stays.`,
		examples: []string{"httpsys delete clientcert url=https://+:443/admin/"},
	},
	{
		verb: "show", object: "clientcert", tags: []tag{optional(urlTag)}, json: true, run: (*run).showClientCert, rights: forAll,
		short:    "Show the URL prefixes that demand client certificates",
		long:     `Without url= all of them, in the order in which they were made.`,
		examples: []string{"httpsys show clientcert", "httpsys show clientcert --json"},
	},
	{
		verb: "show", object: "ca", json: true, run: (*run).showCA, rights: forAll,
		short: "Show the authority of this machine, and how to trust it",
		long: `It is made by the first add sslcert with selfsigned=yes, is good for development only, and is trusted by nobody who
was not told to. Its key stays in the data folder of the daemon.`,
		examples: []string{"httpsys show ca"},
	},
	{
		verb: "dump", json: true, run: (*run).dump, rights: forAll,
		short: "Print the configuration as the commands that make it",
		long: `Run by a shell on a machine where nothing was set, they give the same configuration. With --json the
configuration itself is printed, as it is in config.json.`,
		examples: []string{"httpsys dump > configuration.sh"},
	},
}

func optional(t tag) tag {
	t.required = false
	return t
}

func names(table []config.Setting) []string {
	var all []string
	for _, s := range table {
		all = append(all, s.Name)
	}
	return all
}

// name is what the command is called: "add urlacl".
func (c *command) name() string { return strings.TrimSpace(c.verb + " " + c.object) }

// usage is the usage line below the verb, which cobra puts before it.
func (c *command) usage() string {
	if c.object == "" {
		return c.usageWithVerb()
	}
	return strings.TrimPrefix(c.usageWithVerb(), c.verb+" ")
}

func (c *command) usageWithVerb() string {
	parts := []string{c.name()}
	for _, t := range c.tags {
		part := t.name + "=" + t.value
		if !t.required {
			part = "[" + part + "]"
		}
		if t.repeat && (t.name == "user" || t.name == "group") {
			part += "…"
		}
		parts = append(parts, part)
	}
	if c.json {
		parts = append(parts, "[--json]")
	}
	return strings.Join(parts, " ")
}

// help is the text of --help.
func (c *command) help() string {
	var b strings.Builder
	b.WriteString(c.short + ".")
	if c.long != "" {
		b.WriteString("\n\n" + c.long)
	}
	if len(c.tags) > 0 {
		b.WriteString("\n\nArguments:\n")
		for _, t := range c.tags {
			fmt.Fprintf(&b, "  %-13s %s\n", t.name+"=", t.help)
		}
	}
	if len(c.tags) == 0 {
		b.WriteByte('\n')
	}
	b.WriteString("\nWho may do this: " + c.rights)
	return b.String()
}
