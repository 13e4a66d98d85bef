package cli

import (
	"strconv"
	"strings"

	"github.com/httpsys/httpsys/internal/control"
)

func (r *run) showCacheState() error {
	var st control.CacheState
	if err := r.call(control.ShowCacheState, control.CacheStateParams{URL: r.get("url")}, &st); err != nil {
		return err
	}
	return r.show(st, func(p *printer) {
		p.heading("Snapshot of HTTP response cache:")
		for i := range st.Entries {
			cacheEntry(p, &st.Entries[i])
		}
		switch {
		case len(st.Entries) == 0 && st.Hidden == 0:
			p.line(0, "No responses are stored here.")
		case st.More:
			p.line(0, "There are more: give a url.")
		}
		if st.Hidden > 0 {
			p.line(0, "Of other users: %d, which an administrator can list.", st.Hidden)
		}
		p.blank()
		fragments := int64(0)
		for _, c := range st.Prefix {
			fragments += c.Fragments
		}
		p.line(0, "Stored responses: %d", st.Count-fragments)
		p.line(0, "Fragments: %d", fragments)
		p.line(0, "Size: %d of %d bytes", st.Size, st.Limit)
		p.line(0, "Evicted to make room: %d", st.Evicted)
		p.line(0, "Not stored for want of room: %d", st.Refused)
		for _, c := range st.Prefix {
			p.blank()
			p.line(0, "Prefix: %s", c.URL)
			p.line(1, "Request queue name: %s", c.Queue)
			p.line(1, "Stored responses: %d", c.Entries-c.Fragments)
			p.line(1, "Size: %d bytes", c.Bytes)
			p.line(1, "Cache hits: %d", c.Hits)
			p.line(1, "Cache misses: %d", c.Misses)
			p.line(1, "Responses stored: %d", c.Stored)
			p.line(1, "Responses flushed: %d", c.Flushed)
			if c.Fragments+c.Pieces > 0 {
				p.line(1, "Fragments: %d, sent %d times", c.Fragments, c.Pieces)
			}
		}
	})
}

func cacheEntry(p *printer, e *control.CacheEntry) {
	if e.Fragment {
		p.line(0, "Fragment: %s", e.URL)
	} else {
		p.line(0, "URL: %s", e.URL)
		p.line(1, "Status code: %d", e.Status)
		p.line(1, "HTTP verb: GET")
	}
	switch e.Policy {
	case control.PolicyUser:
		p.line(1, "Cache policy type: User invalidates")
	case control.PolicyValidate:
		p.line(1, "Cache policy type: Validated on each use")
	default:
		p.line(1, "Cache policy type: Time to live")
		if e.ExpiresS > 0 {
			p.line(1, "Cache entry expires in %d seconds", e.ExpiresS)
		} else {
			p.line(1, "Cache entry is stale since %d seconds", -e.ExpiresS)
		}
	}
	p.line(1, "Age: %d seconds", e.AgeS)
	p.line(1, "Request queue name: %s", e.Queue)
	if !e.Fragment {
		p.line(1, "Content type: %s", orNull(e.ContentType))
		p.line(1, "Content encoding: %s", orNull(e.Encoding))
	}
	if e.Vary != "" {
		p.line(1, "Vary: %s", e.Vary)
	}
	if len(e.Tags) > 0 {
		p.line(1, "Tags: %s", strings.Join(e.Tags, " "))
	}
	if e.Partial {
		p.line(1, "Only a part is stored")
	}
	p.line(1, "Content length: %d", e.Size)
	p.line(1, "Hit count: %d", e.Hits)
	p.blank()
}

func orNull(s string) string {
	if s == "" {
		return "(null)"
	}
	return s
}

func (r *run) deleteCache() error {
	recursive, err := r.oneOf("recursive", "no", "yes", "no")
	if err != nil {
		return err
	}
	params := control.DeleteCacheParams{URL: r.get("url"), Recursive: recursive == "yes", Tag: r.get("tag")}
	if params.Recursive && params.URL == "" {
		return usagef("%s: recursive=yes needs url=", r.command.name())
	}
	var result control.DeleteCacheResult
	if err := r.call(control.DeleteCache, params, &result); err != nil {
		return err
	}
	return r.done("Stored responses deleted: " + strconv.Itoa(result.Deleted))
}
