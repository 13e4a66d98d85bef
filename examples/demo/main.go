// Command demo starts a daemon of its own in a temporary folder and a few
// programs that share one port of it, asks each of them once, and then shows
// the requests that come until Ctrl-C. It is what `make demo` runs.
//
// It needs the folder with the built programs as its argument, and the root of the
// source tree for the program in Node.js.
package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// startTime bounds how long a program may take to answer its first request.
const startTime = 20 * time.Second

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: demo FOLDER-WITH-PROGRAMS SOURCE-TREE")
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1], os.Args[2]); err != nil {
		log.Fatal("demo: ", err)
	}
}

func run(ctx context.Context, bin, tree string) error {
	dir, err := os.MkdirTemp("", "httpsys-demo-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	socket := filepath.Join(dir, "socket")

	var programs group
	defer programs.end()
	daemon := programs.command(filepath.Join(bin, "httpsys"), "serve", "--socket", socket, "--data", filepath.Join(dir, "data"))
	if err := programs.start("httpsys", daemon, "httpsys: ready"); err != nil {
		return err
	}

	port, err := freePort("")
	if err != nil {
		return err
	}
	securePort, err := freePort(port)
	if err != nil {
		return err
	}
	// What an administrator does: programs know nothing of certificates.
	bind := programs.command(filepath.Join(bin, "httpsys"), "--socket", socket, "add", "sslcert", "hostnameport=localhost:"+securePort, "selfsigned=yes")
	if out, err := bind.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	authority := filepath.Join(dir, "data", "ca", "ca.pem")
	client, err := clientTrusting(authority)
	if err != nil {
		return err
	}
	base, secure := "http://localhost:"+port+"/", "https://localhost:"+securePort+"/"
	var urls []string
	for _, program := range []struct{ name, url string }{
		{"foo", base + "foo/"}, {"bar", base + "bar/"}, {"pull", base + "pull/"}, {"room", base + "room/"}, {"chat", base + "chat/"}, {"foo", secure + "foo/"},
	} {
		name, url := program.name, program.url
		c := programs.command(filepath.Join(bin, name), url)
		c.Env = append(os.Environ(), "HTTPSYS_SOCKET="+socket)
		if err := programs.start(name, c, ""); err != nil {
			return err
		}
		if err := ask(ctx, client, url); err != nil {
			return err
		}
		urls = append(urls, url)
	}
	programsText := "Five programs in Go"
	if express, err := expressProgram(ctx, &programs, tree); err != nil {
		fmt.Printf("The program in Node.js is left out: %v\n", err)
	} else {
		express.Env = append(os.Environ(), "HTTPSYS_SOCKET="+socket, "PORT="+port, "HTTPS_PORT="+securePort)
		if err := programs.start("express", express, ""); err != nil {
			return err
		}
		for _, url := range []string{base, secure} {
			if err := ask(ctx, client, url); err != nil {
				return err
			}
			urls = append(urls, url)
		}
		programsText += ", and one in Express that knows nothing of it,"
	}
	fmt.Printf("\n%s share one port, with HTTPS and HTTP/2 for those who have no key. Try:\n", programsText)
	for _, u := range urls {
		if strings.HasPrefix(u, "https") {
			u = "curl --cacert " + authority + " " + u
		}
		fmt.Println("   ", u)
	}
	fmt.Printf("\nThe daemon's view of it:\n    HTTPSYS_SOCKET=%s %s show servicestate\n\nRequests are shown as they come. Ctrl-C ends the demo.\n\n",
		socket, filepath.Join(bin, "httpsys"))
	<-ctx.Done()
	fmt.Println("\nThe demo ends.")
	return nil
}

// expressProgram prepares the program in Node.js: it is not changed for httpsys,
// and what it needs comes from npm, as npm has it for anybody.
func expressProgram(ctx context.Context, programs *group, tree string) (*exec.Cmd, error) {
	node, err := exec.LookPath("node")
	if err != nil {
		return nil, err
	}
	if tree, err = filepath.Abs(tree); err != nil {
		return nil, err
	}
	dir := filepath.Join(tree, "examples", "node", "express")
	if _, err := os.Stat(filepath.Join(dir, "node_modules", "express")); err != nil {
		fmt.Println("Installing Express …")
		npm := exec.CommandContext(ctx, "npm", "ci", "--no-audit", "--no-fund", "--loglevel=error")
		npm.Dir = dir
		if out, err := npm.CombinedOutput(); err != nil {
			line, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
			return nil, fmt.Errorf("npm ci: %w: %s", err, line)
		}
	}
	return programs.command(node, "--require", filepath.Join(tree, "node", "register.js"), filepath.Join(dir, "app.js")), nil
}

// freePort finds a port that several programs can share, and that is not taken
// already. Whoever needs only one prefix asks the daemon instead, with port 0.
func freePort(taken string) (string, error) {
	for {
		l, err := net.Listen("tcp", "localhost:0")
		if err != nil {
			return "", err
		}
		defer l.Close()
		if port := fmt.Sprint(l.Addr().(*net.TCPAddr).Port); port != taken {
			return port, nil
		}
	}
}

// clientTrusting is a client that trusts the authority of the demo's daemon.
func clientTrusting(authority string) (*http.Client, error) {
	pem, err := os.ReadFile(authority)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s has no certificate", authority)
	}
	return &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: true}}, nil
}

// ask sends the first request to a program, as soon as its prefix is there.
func ask(ctx context.Context, client *http.Client, url string) error {
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	for {
		req, err := http.NewRequestWithContext(ctx, "GET", url, nil)
		if err != nil {
			return err
		}
		resp, err := client.Do(req)
		if err == nil {
			body, _ := io.ReadAll(resp.Body)
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				text := strings.TrimSpace(string(body))
				if strings.HasPrefix(text, "<") {
					text = "a page with a live chat: open it in two windows"
				}
				fmt.Printf("GET %s\n    %s\n", url, text)
				return nil
			}
			err = fmt.Errorf("%s answers %s", url, resp.Status)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("no answer in %v: %w", startTime, err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// group is the programs of the demo.
type group struct {
	running []*exec.Cmd
	output  sync.WaitGroup
}

// command prepares a program that is not reached by the Ctrl-C that ends the
// demo: the demo ends its programs itself, in order.
func (g *group) command(name string, args ...string) *exec.Cmd {
	c := exec.Command(name, args...)
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	return c
}

// start starts c and shows its output with its name. It waits for a line that
// begins with ready, if there is such a line.
func (g *group) start(name string, c *exec.Cmd, ready string) error {
	out, err := c.StdoutPipe()
	if err != nil {
		return err
	}
	c.Stderr = c.Stdout
	if err := c.Start(); err != nil {
		return err
	}
	g.running = append(g.running, c)
	up := make(chan bool, 1)
	g.output.Go(func() {
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			fmt.Printf("%-8s %s\n", name, lines.Text())
			if ready != "" && strings.HasPrefix(lines.Text(), ready) {
				up <- true
				ready = ""
			}
		}
		close(up)
	})
	if ready != "" && !<-up {
		return fmt.Errorf("%s ended before it was ready", name)
	}
	return nil
}

// end ends the programs, the last one first, so that the daemon outlives its
// applications.
func (g *group) end() {
	for i := len(g.running) - 1; i >= 0; i-- {
		c := g.running[i]
		c.Process.Signal(syscall.SIGTERM)
		kill := time.AfterFunc(5*time.Second, func() { c.Process.Kill() })
		c.Wait()
		kill.Stop()
	}
	g.output.Wait()
}
