package rules

import "github.com/httpsys/httpsys/internal/wire/message"

// OwnField is the targeted field (RFC 9213) that only this daemon obeys: an
// application's word to us alone. In it until-flushed means: for as long as nobody
// flushes. TagField names what a stored response is about, so that it can be
// flushed by it.
const (
	OwnField = "httpsys-cache-control"
	CDNField = "cdn-cache-control"
	TagField = "cache-tag"
)

// ForUs says whether a field of a response is meant for us alone, so that clients do
// not get it.
func ForUs(name []byte) bool {
	switch len(name) {
	case len(OwnField):
		return EqualFold(name, OwnField)
	case len(CDNField):
		return EqualFold(name, CDNField)
	case len(TagField):
		return EqualFold(name, TagField)
	}
	return false
}

// ResponseControl is the directives that hold for a response: those of the
// most specific targeted field that is there, is valid and is not empty, else
// of Cache-Control (RFC 9213 2.2). targeted says which it was; then Expires
// does not count either.
func ResponseControl(fields []message.Field) (c Control, targeted bool) {
	for _, name := range [...]string{OwnField, CDNField} {
		if c, ok := parseTargeted(fields, name); ok {
			return c, true
		}
	}
	return ParseControl(fields), false
}

// parseTargeted reads a targeted field. Its lines together are a Dictionary
// of structured fields (RFC 8941 3.2), in which the last of two members with a name
// counts; anything that is none makes it void as a whole, and so does a known directive
// with a value of a wrong type: then what is meant for everybody is the safer reading.
func parseTargeted(fields []message.Field, name string) (c Control, ok bool) {
	c = none
	for i := range fields {
		if !EqualFold(fields[i].Name, name) {
			continue
		}
		p := dictionary{b: fields[i].Value}
		for p.more() {
			key, value, kind := p.member()
			if p.bad {
				return none, false
			}
			c.Present = true
			if !c.member(key, value, kind) {
				return none, false
			}
		}
		if p.bad {
			return none, false
		}
	}
	return c, c.Present
}

// member takes a directive of a targeted field; false if its value is of the wrong type.
func (c *Control) member(key, value []byte, kind itemKind) bool {
	to := c.number(key)
	switch {
	case to != nil:
		if kind != isInteger {
			return false
		}
		*to = None // the last counts
		c.directive(key, value, true)
	case kind == isTrue:
		c.directive(key, nil, false)
	case kind == isString && (EqualFold(key, "no-cache") || EqualFold(key, "private")):
		c.directive(key, value, true)
	}
	return true
}

// number is the field for a directive that has a number.
func (c *Control) number(key []byte) *int64 {
	switch {
	case EqualFold(key, "max-age"):
		return &c.MaxAge
	case EqualFold(key, "s-maxage"):
		return &c.SMaxAge
	case EqualFold(key, "stale-while-revalidate"):
		return &c.StaleWhileRevalidate
	case EqualFold(key, "stale-if-error"):
		return &c.StaleIfError
	}
	return nil
}

type itemKind uint8

const (
	isOther itemKind = iota // a type that no directive has
	isTrue
	isInteger
	isString
)

// dictionary walks a Dictionary of structured fields. Keys in upper case are
// taken although RFC 8941 does not know them: directives have no case.
type dictionary struct {
	b   []byte
	bad bool
	any bool
}

func (p *dictionary) skip(set string) {
	for len(p.b) > 0 && containsByte(set, p.b[0]) {
		p.b = p.b[1:]
	}
}

func containsByte(set string, c byte) bool {
	for i := range len(set) {
		if set[i] == c {
			return true
		}
	}
	return false
}

// more moves to the next member.
func (p *dictionary) more() bool {
	if p.bad {
		return false
	}
	if !p.any {
		p.any = true
		p.skip(" ")
		return len(p.b) > 0
	}
	p.skip(" \t")
	if len(p.b) == 0 {
		return false
	}
	if p.b[0] != ',' {
		p.bad = true
		return false
	}
	p.b = p.b[1:]
	p.skip(" \t")
	p.bad = len(p.b) == 0 // a comma at the end
	return !p.bad
}

func (p *dictionary) member() (key, value []byte, kind itemKind) {
	key = p.key()
	kind = isTrue
	if len(p.b) > 0 && p.b[0] == '=' {
		p.b = p.b[1:]
		if len(p.b) > 0 && p.b[0] == '(' {
			kind = p.list()
		} else {
			value, kind = p.item()
		}
	}
	p.parameters()
	return key, value, kind
}

func (p *dictionary) key() []byte {
	i := 0
	for i < len(p.b) {
		c := lowerByte(p.b[i])
		if !('a' <= c && c <= 'z' || c == '*' || i > 0 && ('0' <= c && c <= '9' || c == '_' || c == '-' || c == '.')) {
			break
		}
		i++
	}
	key := p.b[:i]
	p.b = p.b[i:]
	p.bad = p.bad || i == 0
	return key
}

func (p *dictionary) parameters() {
	for !p.bad && len(p.b) > 0 && p.b[0] == ';' {
		p.b = p.b[1:]
		p.skip(" ")
		p.key()
		if len(p.b) > 0 && p.b[0] == '=' {
			p.b = p.b[1:]
			p.item()
		}
	}
}

func (p *dictionary) list() itemKind {
	p.b = p.b[1:]
	for !p.bad {
		p.skip(" ")
		if len(p.b) == 0 {
			break
		}
		if p.b[0] == ')' {
			p.b = p.b[1:]
			return isOther
		}
		p.item()
		p.parameters()
		if len(p.b) > 0 && p.b[0] != ' ' && p.b[0] != ')' {
			break
		}
	}
	p.bad = true
	return isOther
}

func (p *dictionary) item() (value []byte, kind itemKind) {
	if p.bad || len(p.b) == 0 {
		p.bad = true
		return nil, isOther
	}
	b := p.b
	take := func(n int, k itemKind) ([]byte, itemKind) {
		p.b = b[n:]
		return b[:n], k
	}
	switch c := b[0]; {
	case c == '-' || '0' <= c && c <= '9':
		i := 1
		for i < len(b) && '0' <= b[i] && b[i] <= '9' {
			i++
		}
		if c == '-' && i == 1 || i > 16 {
			break
		}
		if i < len(b) && b[i] == '.' {
			j := i + 1
			for j < len(b) && '0' <= b[j] && b[j] <= '9' {
				j++
			}
			if j == i+1 || j > i+4 {
				break
			}
			return take(j, isOther)
		}
		if c == '-' {
			return take(i, isOther)
		}
		return take(i, isInteger)
	case c == '"':
		for i := 1; i < len(b); i++ {
			switch {
			case b[i] == '\\':
				if i+1 == len(b) || b[i+1] != '"' && b[i+1] != '\\' {
					p.bad = true
					return nil, isOther
				}
				i++
			case b[i] == '"':
				return take(i+1, isString)
			case b[i] < 0x20 || b[i] > 0x7e:
				p.bad = true
				return nil, isOther
			}
		}
	case c == '?':
		if len(b) > 1 && b[1] == '1' {
			return take(2, isTrue)
		}
		if len(b) > 1 && b[1] == '0' {
			return take(2, isOther)
		}
	case c == ':':
		for i := 1; i < len(b); i++ {
			if b[i] == ':' {
				return take(i+1, isOther)
			}
			if !message.IsToken(b[i]) && b[i] != '/' && b[i] != '=' {
				break
			}
		}
	case c == '*' || 'a' <= c|0x20 && c|0x20 <= 'z':
		i := 1
		for i < len(b) && (message.IsToken(b[i]) || b[i] == ':' || b[i] == '/') {
			i++
		}
		return take(i, isOther)
	}
	p.bad = true
	return nil, isOther
}
