package httpsys

import (
	"io"
	"net/http"
	"runtime"
	"testing"

	"github.com/httpsys/httpsys/internal/wire/channel"
)

// FuzzLoop feeds a loop with frames that are nearly right. Whatever comes,
// nothing panics, and every handler ends when the connection does.
func FuzzLoop(f *testing.F) {
	// Each step is three bytes: what, on which stream, with what.
	f.Add([]byte{0, 1, 0, 1, 1, 5, 1, 1, 0x85, 0, 2, 1})
	f.Add([]byte{0, 1, 3, 1, 1, 200, 2, 1, 0, 0, 1, 0, 3, 1, 9, 4, 1, 1})
	f.Add([]byte{0, 1, 2, 4, 1, 2, 4, 1, 3, 0, 2, 3, 4, 2, 1, 5, 0, 0, 6, 1, 7})
	f.Fuzz(func(t *testing.T, script []byte) {
		l, _ := loopForTest(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch r.Method {
			case "PUT":
				io.Copy(w, r.Body)
			case "POST":
				if c, _, err := w.(http.Hijacker).Hijack(); err == nil {
					io.Copy(c, c)
					c.Close()
				}
			default:
				w.Write(make([]byte, 5000))
			}
		}), true)
		var frames []byte
		for ; len(script) >= 3; script = script[3:] {
			frames = appendStep(frames, script[0], uint32(script[1]%4), script[2])
		}
		// In two reads, cut anywhere.
		cut := len(frames) / 3
		used, _, err := l.frames(frames[:cut])
		if err == nil {
			l.frames(frames[used:])
		}
		l.close()
		p := l.e.sink.(*pool)
		p.closed()
		for workers := 1; workers > 0; runtime.Gosched() {
			p.mu.Lock()
			workers = p.workers
			p.mu.Unlock()
		}
	})
}

func appendStep(dst []byte, what byte, stream uint32, with byte) []byte {
	end := channel.Flags(with >> 7)
	switch what % 8 {
	case 0:
		method := []channel.Method{channel.MethodGet, channel.MethodPut, channel.MethodPost, channel.MethodHead}[with%4]
		text := channel.MethodNames[method] + "\x00/\x00h\x00192.0.2.1:1\x00192.0.2.2:2\x00Host\x00h\x00Expect\x00100-continue\x00"
		h := channel.RequestHead{FieldCount: 2, Method: method, Version: 10 + with>>4%2,
			ContentLength: int64(with%3) - 1, Flags: channel.RequestFlags(with % 8)}
		payload := append(channel.AppendRequestFixed(nil, &h, len(text)), text...)
		return channel.AppendFrame(dst, channel.Request, end, stream, 0, payload)
	case 1:
		return channel.AppendFrame(dst, channel.Data, end, stream, 0, make([]byte, int(with&0x7f)*300))
	case 2:
		return channel.AppendFrame(dst, channel.Trailers, 0, stream, 0, append(channel.AppendTrailersFixed(nil, 1),
			"a\x00b\x00"...))
	case 3:
		return channel.AppendUint32Frame(dst, channel.Window, stream, uint32(with)<<(with%24))
	case 4:
		return channel.AppendFrame(dst, channel.Cancel, 0, stream, uint16(with%5), nil)
	case 5:
		return channel.AppendFrame(dst, channel.GoAway, 0, 0, 0, nil)
	case 6:
		return append(dst, with)
	}
	return channel.AppendFrame(dst, channel.Type(with), 0, stream, 0, make([]byte, with))
}
