//go:build !race

package httpsys

import "github.com/httpsys/httpsys/internal/sys"

func readSocket(in *sys.Inbox, fd int, b []byte, fds []int) (int, []int, error) {
	return in.Read(fd, b, fds)
}
func writeSocket(fd int, b []byte) (int, error) { return sys.Write(fd, b, false) }
