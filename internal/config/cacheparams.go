package config

// CacheParams are the settings of "add cacheparam": those of the response
// cache.
//
// HTTP.SYS has two of them (its largest response is 256 KiB if nobody sets anything else), and the
// period of its scavenger in the registry.
var CacheParams = []Setting{
	{
		Name: "maxcachesize", Label: "Size of the cache", Unit: "bytes",
		Help: "that all stored responses may take; the default is bounded by an eighth of the machine's memory",
		Min:  1 << 16, Max: 1 << 40, Default: DefaultCacheSize, Off: 1<<62 - 1,
		field: func(l *Limits, n int64) { l.CacheSize = n },
	},
	{
		Name: "maxcacheresponsesize", Label: "Largest response", Unit: "bytes",
		Help: "of the body of a response that is stored",
		Min:  1, Max: 1 << 32, Default: 8 << 20,
		field: func(l *Limits, n int64) { l.CacheLargest = n },
	},
	{
		Name: "scavengerperiod", Label: "Scavenger period", Unit: "secs",
		Help: "after which stale responses go that nobody has asked for since",
		Min:  1, Max: ulongOff - 1, Default: 120, Off: ulongOff,
		field: func(l *Limits, n int64) { l.CacheScavenge = n },
	},
	{
		Name: "maxheuristic", Label: "Longest guess", Unit: "secs",
		Help: "for which a response is fresh that says nothing but when it was changed last",
		Min:  1, Max: 86400 * 365, Default: 0, Off: ulongOff, // off: a program is to be as it is without us
		field: func(l *Limits, n int64) { l.CacheHeuristic = n },
	},
}

// DefaultCacheSize is the size of the cache if nobody set another one and the machine has the memory.
const DefaultCacheSize = 1 << 30
