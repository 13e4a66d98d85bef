package exchange

import (
	"bytes"

	"github.com/httpsys/httpsys/internal/compress"
	"github.com/httpsys/httpsys/internal/wire/message"
)

// packing is what the compressed responses of a stage have in common.
type packing struct {
	// Compress are the administrator's settings.
	Compress compress.Settings
	// Schedule asks for Work(next): at the end of this turn, or of the next one, which comes
	// without sleeping. It is called once for each.
	Schedule func(next bool)
	// ReadFile and CloseFile are for files that an application passed.
	ReadFile  func(fd int, b []byte, offset int64) (int, error)
	CloseFile func(fd int)

	encoders    compress.Pool
	head        compress.Head
	pack        []byte    // scratch: what an encoder has produced
	file        []byte    // scratch: what was read of a file
	packed      int       // bytes that were compressed in this turn
	packers     []*packer // with something to do
	spare       []*packer // array for the next packers
	freePackers []*packer
	asked       [2]bool // of Schedule
}

func (s *packing) packer() *packer {
	if n := len(s.freePackers); n > 0 {
		p := s.freePackers[n-1]
		s.freePackers = s.freePackers[:n-1]
		return p
	}
	return &packer{}
}

// keepPack takes the scratch space back.
func (s *packing) keepPack(b []byte) {
	if b != nil && cap(b) <= 2*packTurn {
		s.pack = b[:0]
	}
}

// spend counts what is compressed in this turn.
func (s *packing) spend(n int) {
	s.packed += n
	s.schedule(false)
}

func (s *packing) schedule(next bool) {
	i := 0
	if next {
		i = 1
	}
	if !s.asked[i] && s.Schedule != nil {
		s.asked[i] = true
		s.Schedule(next)
	}
}

// Work goes on with the compression of what could not be done as it came, and
// gets out what encoders have kept. next is what Schedule was called with.
func (s *packing) Work(next bool) {
	if next {
		s.asked[1] = false
	} else {
		s.asked[0] = false
	}
	todo := s.packers
	s.packers = s.spare[:0]
	done := 0
	for i, p := range todo {
		if done >= packTurn { // the others are the first next time
			s.packers = append(s.packers, todo[i:]...)
			break
		}
		p.queued = false
		if p.x == nil { // dropped meanwhile
			s.freePackers = append(s.freePackers, p)
			continue
		}
		n, more := p.step()
		done += n
		if more && !p.queued {
			p.queued = true
			s.packers = append(s.packers, p)
		}
	}
	clear(todo)
	s.spare = todo[:0]
	s.packed = 0
	if len(s.packers) > 0 {
		s.schedule(true)
	}
}

// cloneFields copies fields that alias a buffer.
func cloneFields(fields []message.Field) []message.Field {
	out := make([]message.Field, len(fields))
	for i, f := range fields {
		out[i] = message.Field{Name: bytes.Clone(f.Name), Value: bytes.Clone(f.Value)}
	}
	return out
}
