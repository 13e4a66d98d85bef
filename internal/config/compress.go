package config

// compressSettings are those on the compression of responses.
func compressSettings() []Setting {
	return []Setting{
		{
			Name: "compression", Label: "Compression", Unit: "level",
			Help: "1: responses are compressed where their program asks for it; 2: everywhere, unless it says no",
			Min:  1, Max: 2, Default: 1, Off: ulongOff,
			field: func(l *Limits, n int64) { l.Compression = int(n) },
		},
		{
			Name: "compressminsize", Label: "CompressMinSize", Unit: "bytes",
			Help: "that a response must have to be compressed",
			Min:  1, Max: 1 << 30, Default: 1024,
			field: func(l *Limits, n int64) { l.CompressMinSize = n },
		},
	}
}
