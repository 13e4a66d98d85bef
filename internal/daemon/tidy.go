package daemon

import "runtime/debug"

// tidier decides when memory is given back to the kernel that storing responses has left behind. While much is stored
// the runtime lets garbage grow to the size of what is alive, which is right then; but a cache that
// has become full and from then on only answers would keep twice the memory that it needs, as answering makes no
// garbage, and without garbage nothing is collected.
type tidier struct {
	tidied int64 // bytes that were stored when it was done last
	before int64 // bytes that were stored a second ago
	calm   int   // seconds without much being stored
}

// Much is tidyBytes, or one tidyShare of what is stored if that is more. calmSeconds is how long it must be calm:
// collecting takes about a second of a processor for a million responses, and what was given
// back has to be taken again if it was too early.
const (
	tidyBytes   = 16 << 20
	tidyShare   = 8
	calmSeconds = 3
)

// due is asked each second with what is stored, in bytes.
func (t *tidier) due(stored int64) bool {
	much := max(tidyBytes, stored/tidyShare)
	if moved := stored - t.before; moved > much/16 || -moved > much/16 {
		t.calm = 0
	} else {
		t.calm++
	}
	t.before = stored
	if moved := stored - t.tidied; t.calm < calmSeconds || moved < much && -moved < much {
		return false
	}
	t.tidied = stored
	return true
}

// tidy collects what is garbage and gives the memory back.
func tidy() { debug.FreeOSMemory() }
