//go:build !race

package httpsys

import "github.com/httpsys/httpsys/internal/sys"

func readSocket(fd int, b []byte) (int, error)  { return sys.Read(fd, b) }
func writeSocket(fd int, b []byte) (int, error) { return sys.Write(fd, b, false) }
