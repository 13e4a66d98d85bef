package main

import (
	"log"
	"os"
	"os/exec"
	"syscall"
)

// asMain runs a command as another user: as UID[:GID…] COMMAND…
func asMain() {
	log.SetFlags(0)
	log.SetPrefix("as: ")
	c, err := newCommand(os.Args[2], os.Args[1], os.Environ(), os.Args[3:]...)
	if err != nil {
		log.Fatal(err)
	}
	c.SysProcAttr.Pdeathsig = syscall.SIGKILL
	c.Stdin, c.Stdout, c.Stderr = os.Stdin, os.Stdout, os.Stderr
	err = c.Run()
	if exit, ok := err.(*exec.ExitError); ok {
		os.Exit(exit.ExitCode())
	}
	if err != nil {
		log.Fatal(err)
	}
}
