package prefix

import "iter"

// A radix is an immutable array of 65 536 pointers, one for each port, most of them nil. The zero radix holds
// only nils. with returns a changed copy that shares all but three small pages with the original.
type radix[T any] struct {
	top *[64]*[32]*[32]*T // by the highest 6, the next 5 and the last 5 bits
}

func (r radix[T]) get(i uint16) *T {
	if r.top == nil {
		return nil
	}
	mid := r.top[i>>10]
	if mid == nil {
		return nil
	}
	low := mid[i>>5%32]
	if low == nil {
		return nil
	}
	return low[i%32]
}

// with returns r with v at i.
func (r radix[T]) with(i uint16, v *T) radix[T] {
	var top [64]*[32]*[32]*T
	var mid [32]*[32]*T
	var low [32]*T
	if r.top != nil {
		top = *r.top
	}
	if old := top[i>>10]; old != nil {
		mid = *old
	}
	if old := mid[i>>5%32]; old != nil {
		low = *old
	}
	low[i%32] = v
	mid[i>>5%32] = nilIfZero(low)
	top[i>>10] = nilIfZero(mid)
	return radix[T]{nilIfZero(top)}
}

// nilIfZero returns a pointer to v, or nil if v is zero: a page without entries goes.
func nilIfZero[A comparable](v A) *A {
	var zero A
	if v == zero {
		return nil
	}
	return &v
}

// all yields the pointers that are not nil, in order.
func (r radix[T]) all() iter.Seq2[uint16, *T] {
	return func(yield func(uint16, *T) bool) {
		if r.top == nil {
			return
		}
		for a, mid := range r.top {
			if mid == nil {
				continue
			}
			for b, low := range mid {
				if low == nil {
					continue
				}
				for c, v := range low {
					if v != nil && !yield(uint16(a<<10|b<<5|c), v) {
						return
					}
				}
			}
		}
	}
}
