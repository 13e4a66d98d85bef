// Package compat holds the promise that a handler does not notice whether
// net/http or httpsys calls it.
//
// There is nothing here but tests. Each is a case (case_test.go): a handler,
// what a client sends, and what both must see, as text. It runs on three
// servers (servers_test.go): net/http on a port of its own, which is the
// reference; a httpsys.Server; and net/http on what httpsys.Listen returns. The
// latter two are behind a daemon that runs in the test's process. Where httpsys
// differs on purpose, the case says how and why (field but).
//
// The cases are in the files response, request, body, stream, leaving, files,
// hijack, toolbox, load and websocket; chi, gin and echo are programs of these
// frameworks. Package promises tests what the project promises as a whole,
// with real clients and processes.
//
// It is a module of its own so that what the tests import is nothing that
// programs which use httpsys have to know of.
package compat
