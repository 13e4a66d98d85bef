package httpsys

// A streamTable finds requests by the number of their stream. The daemon keeps numbers small
// (docs/channel.md section 4), so they index a slice; a map behind it keeps a
// daemon that does not from costing memory.
type streamTable struct {
	dense  []*exchange
	sparse map[uint32]*exchange
	n      int
}

// maxDense is 65 536: no connection has more credit than that.
const maxDense = 1 << 16

func (t *streamTable) get(id uint32) *exchange {
	if int(id) < len(t.dense) {
		return t.dense[id]
	}
	return t.sparse[id]
}

// put adds a stream whose number is not in use.
func (t *streamTable) put(x *exchange) {
	t.n++
	if x.id >= maxDense {
		if t.sparse == nil {
			t.sparse = make(map[uint32]*exchange)
		}
		t.sparse[x.id] = x
		return
	}
	if n := int(x.id) + 1; n > len(t.dense) {
		// Doubling, so that counting up costs constant time a stream.
		grown := make([]*exchange, min(maxDense, max(64, n, 2*len(t.dense))))
		copy(grown, t.dense)
		t.dense = grown
	}
	t.dense[x.id] = x
}

// remove takes out a stream that put added.
func (t *streamTable) remove(x *exchange) {
	t.n--
	if int(x.id) < len(t.dense) {
		t.dense[x.id] = nil
		return
	}
	delete(t.sparse, x.id)
}

// all returns the streams that are there.
func (t *streamTable) all() []*exchange {
	out := make([]*exchange, 0, t.n)
	for _, x := range t.dense {
		if x != nil {
			out = append(out, x)
		}
	}
	for _, x := range t.sparse {
		out = append(out, x)
	}
	return out
}
