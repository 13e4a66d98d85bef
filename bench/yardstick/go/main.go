// Command go is the yardstick again, in Go: one goroutine on one epoll
// instance, raw system calls, one read and one write per request, a fixed
// answer. The distance between this and epoll.c is the price of the language
// and its runtime; what httpsys spends beyond it is spent on HTTP.
//
// Like epoll.c it does not parse, and serves GET requests only.
//
// Usage: go PORT (on 127.0.0.1)
package main

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"syscall"
	"unsafe"
)

const answer = "HTTP/1.1 200 OK\r\n" +
	"Content-Type: text/plain; charset=utf-8\r\n" +
	"Server: yardstick\r\n" +
	"Date: Thu, 01 Jan 2026 00:00:00 GMT\r\n" +
	"Content-Length: 13\r\n" +
	"\r\n" +
	"Hello, World!"

var endOfHead = []byte("\r\n\r\n")

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: go PORT")
		os.Exit(2)
	}
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(port string) error {
	number, err := strconv.Atoi(port)
	if err != nil {
		return err
	}
	listener, err := listen(number)
	if err != nil {
		return err
	}
	ep, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return err
	}
	if err := watch(ep, listener); err != nil {
		return err
	}
	s := &server{ep: ep, listener: listener, partial: map[int][]byte{}, buf: make([]byte, 8192)}
	events := make([]syscall.EpollEvent, 512)
	for {
		n, err := wait(ep, events)
		if err != nil && err != syscall.EINTR {
			return err
		}
		for _, ev := range events[:max(n, 0)] {
			if fd := int(ev.Fd); fd == listener {
				s.accept()
			} else if !s.serve(fd) {
				delete(s.partial, fd)
				syscall.Close(fd)
			}
		}
	}
}

func listen(port int) (int, error) {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1)
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Port: port, Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return 0, err
	}
	return fd, syscall.Listen(fd, 4096)
}

func watch(ep, fd int) error {
	ev := syscall.EpollEvent{Events: syscall.EPOLLIN, Fd: int32(fd)}
	return syscall.EpollCtl(ep, syscall.EPOLL_CTL_ADD, fd, &ev)
}

// wait polls without telling the scheduler first, which is the cheap way
// while there is work, and only then blocks in the ordinary way.
func wait(ep int, events []syscall.EpollEvent) (int, error) {
	n, _, _ := syscall.RawSyscall6(syscall.SYS_EPOLL_PWAIT, uintptr(ep), uintptr(unsafe.Pointer(&events[0])),
		uintptr(len(events)), 0, 0, 0)
	if int(n) > 0 {
		return int(n), nil
	}
	return syscall.EpollWait(ep, events, -1)
}

type server struct {
	ep, listener int
	partial      map[int][]byte // the last bytes of a head that was cut, by connection
	buf          []byte
}

func (s *server) accept() {
	for {
		fd, _, err := syscall.Accept4(s.listener, syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC)
		if err != nil {
			return
		}
		syscall.SetsockoptInt(fd, syscall.IPPROTO_TCP, syscall.TCP_NODELAY, 1)
		if watch(s.ep, fd) != nil {
			syscall.Close(fd)
		}
	}
}

// serve reads once and answers; it returns false when the connection is over.
func (s *server) serve(fd int) bool {
	n, errno := rawIO(syscall.SYS_READ, fd, s.buf)
	if errno != 0 {
		return errno == syscall.EAGAIN || errno == syscall.EINTR
	}
	if n == 0 {
		return false
	}
	in := s.buf[:n]
	if len(s.partial) > 0 {
		in = append(s.partial[fd], in...)
		delete(s.partial, fd)
	}
	for {
		i := bytes.Index(in, endOfHead)
		if i < 0 {
			break
		}
		in = in[i+len(endOfHead):]
		out := unsafe.Slice(unsafe.StringData(answer), len(answer))
		// A client that does not read its answers is cut, not waited for.
		if n, errno := rawIO(syscall.SYS_WRITE, fd, out); errno != 0 || n != len(answer) {
			return false
		}
	}
	if len(in) > 0 {
		s.partial[fd] = bytes.Clone(in[max(0, len(in)-len(endOfHead)+1):])
	}
	return true
}

// rawIO reads or writes once. The sockets never block, so the scheduler need
// not hear of it.
func rawIO(call uintptr, fd int, p []byte) (int, syscall.Errno) {
	n, _, errno := syscall.RawSyscall(call, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)))
	return int(n), errno
}
