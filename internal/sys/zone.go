package sys

import (
	"net"
	"strconv"
)

// zone returns the number of an IPv6 scope: an interface's name or its number.
func zone(name string) uint32 {
	if ifi, err := net.InterfaceByName(name); err == nil {
		return uint32(ifi.Index)
	}
	n, _ := strconv.ParseUint(name, 10, 32)
	return uint32(n)
}
