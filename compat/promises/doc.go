// Package promises tests what httpsys as a whole promises, each test named for
// its promise: with the daemon, programs and clients as processes of their own,
// built and started as users do it.
//
// There is nothing here but tests, and the program that they start (folder
// program). machine_test.go starts things, process_test.go watches them. The
// promises are in clients_test.go (who can talk to it), workers_test.go (what
// the death and the replacement of a program costs), daemon_test.go (that of the
// daemon), slow_test.go and memory_test.go (what strangers cannot cost),
// examples_test.go.
//
// That programs of several users share a port, and that one who may not is told
// so in one line, is in cmd/httpsys/testdata/script/urlacl_users.txtar.
package promises
