package httpsys

// A fifo is a queue in a ring that grows when it is full. Credit bounds it.
type fifo struct {
	ring []*exchange // its length is a power of two
	head int
	n    int
}

func (q *fifo) push(x *exchange) {
	if q.n == len(q.ring) {
		grown := make([]*exchange, max(64, 2*q.n))
		for i := range q.n {
			grown[i] = q.ring[(q.head+i)&(len(q.ring)-1)]
		}
		q.ring, q.head = grown, 0
	}
	q.ring[(q.head+q.n)&(len(q.ring)-1)] = x
	q.n++
}

// pop returns nil when the queue is empty.
func (q *fifo) pop() *exchange {
	if q.n == 0 {
		return nil
	}
	x := q.ring[q.head]
	q.ring[q.head] = nil
	q.head = (q.head + 1) & (len(q.ring) - 1)
	q.n--
	return x
}
