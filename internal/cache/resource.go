package cache

import "unsafe"

// newResource makes a resource whose key is in the same piece of memory, if it is not long: it costs one
// miss less to compare, and less than two pieces do.
func newResource(key []byte) *resource {
	var r *resource
	var room []byte
	switch n := len(key); {
	case n <= 24:
		x := new(struct {
			resource
			room [24]byte
		})
		r, room = &x.resource, x.room[:]
	case n <= 40:
		x := new(struct {
			resource
			room [40]byte
		})
		r, room = &x.resource, x.room[:]
	case n <= 56:
		x := new(struct {
			resource
			room [56]byte
		})
		r, room = &x.resource, x.room[:]
	case n <= 72:
		x := new(struct {
			resource
			room [72]byte
		})
		r, room = &x.resource, x.room[:]
	case n <= 104:
		x := new(struct {
			resource
			room [104]byte
		})
		r, room = &x.resource, x.room[:]
	default:
		r = &resource{key: string(key)}
		return r
	}
	r.key = unsafe.String(&room[0], copy(room, key)) // nobody writes there again
	return r
}
