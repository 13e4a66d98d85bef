// The yardstick: the cheapest server that still answers HTTP/1.1 keep-alive
// requests through the kernel's TCP. One thread, one epoll instance, level
// triggered, one recv and one send per request, a fixed answer. Everything a
// real server does beyond this is what the ratios in the results show.
//
// It does not parse. It looks for the empty line that ends a head, also when
// reads cut it anywhere, and sends one answer for each: enough for GET
// requests, and nothing else should be sent to it.
//
// Usage: yardstick PORT (on 127.0.0.1)

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAX_FD 65536
#define MAX_EVENTS 512
#define MAX_BATCH 64 // answers in one send, for clients that pipeline

static const char answer[] =
	"HTTP/1.1 200 OK\r\n"
	"Content-Type: text/plain; charset=utf-8\r\n"
	"Server: yardstick\r\n"
	"Date: Thu, 01 Jan 2026 00:00:00 GMT\r\n"
	"Content-Length: 13\r\n"
	"\r\n"
	"Hello, World!";

static char answers[MAX_BATCH * sizeof answer];

// How much of CR LF CR LF each connection has shown at the end of its last read.
static unsigned char matched[MAX_FD];

// heads counts the heads that end in buf.
static int heads(int fd, const char *buf, ssize_t n) {
	unsigned char m = matched[fd];
	int count = 0;
	// The usual case: one whole request in one read.
	if (m == 0 && n >= 4 && memcmp(buf + n - 4, "\r\n\r\n", 4) == 0 &&
	    memmem(buf, n - 1, "\r\n\r\n", 4) == NULL)
		return 1;
	for (ssize_t i = 0; i < n; i++) {
		if (buf[i] == (m & 1 ? '\n' : '\r'))
			m++;
		else
			m = buf[i] == '\r';
		if (m == 4) {
			count++;
			m = 0;
		}
	}
	matched[fd] = m;
	return count;
}

// serve reads once and answers; it returns 0 when the connection is over.
static int serve(int fd) {
	char buf[8192];
	ssize_t n = recv(fd, buf, sizeof buf, 0);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	if (n == 0)
		return 0;
	for (int left = heads(fd, buf, n); left > 0;) {
		int batch = left < MAX_BATCH ? left : MAX_BATCH;
		ssize_t want = batch * (sizeof answer - 1);
		// A client that does not read its answers is cut, not waited for.
		if (send(fd, answers, want, MSG_NOSIGNAL) != want)
			return 0;
		left -= batch;
	}
	return 1;
}

static void die(const char *what) {
	perror(what);
	exit(1);
}

int main(int argc, char **argv) {
	if (argc != 2) {
		fprintf(stderr, "usage: yardstick PORT\n");
		return 2;
	}
	for (int i = 0; i < MAX_BATCH; i++)
		memcpy(answers + i * (sizeof answer - 1), answer, sizeof answer - 1);

	int one = 1;
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	struct sockaddr_in addr = {
		.sin_family = AF_INET,
		.sin_port = htons(atoi(argv[1])),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	if (listener < 0)
		die("socket");
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	if (bind(listener, (struct sockaddr *)&addr, sizeof addr) < 0)
		die("bind");
	if (listen(listener, 4096) < 0)
		die("listen");

	int ep = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event ev = {.events = EPOLLIN, .data.fd = listener};
	if (ep < 0 || epoll_ctl(ep, EPOLL_CTL_ADD, listener, &ev) < 0)
		die("epoll");

	for (;;) {
		struct epoll_event events[MAX_EVENTS];
		int n = epoll_wait(ep, events, MAX_EVENTS, -1);
		for (int i = 0; i < n; i++) {
			int fd = events[i].data.fd;
			if (fd != listener) {
				if (!serve(fd))
					close(fd);
				continue;
			}
			for (;;) {
				int c = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
				if (c < 0)
					break;
				if (c >= MAX_FD) {
					close(c);
					continue;
				}
				setsockopt(c, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
				matched[c] = 0;
				struct epoll_event in = {.events = EPOLLIN, .data.fd = c};
				epoll_ctl(ep, EPOLL_CTL_ADD, c, &in);
			}
		}
	}
}
