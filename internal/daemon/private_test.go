package daemon_test

import (
	"context"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/httpsys/httpsys/internal/daemon"
	"github.com/httpsys/httpsys/internal/testkit"
	"github.com/httpsys/httpsys/internal/wire/channel"
)

// A private daemon outlives the program that started it as long as another
// uses it, and leaves nothing behind. A folder that was there before stays.
func TestPrivateDaemon(t *testing.T) {
	for _, there := range []bool{false, true} {
		dir := filepath.Join(testkit.Dir(t), "private")
		socket, data := filepath.Join(dir, "s"), filepath.Join(dir, "data")
		if there {
			os.MkdirAll(data, 0o700)
		}
		while, starter := io.Pipe()
		out, ready := io.Pipe()
		ended := make(chan error)
		go func() {
			ended <- daemon.Run(context.Background(), daemon.Options{Socket: socket, Data: data, Loops: 1, While: while, Out: ready})
		}()
		if _, err := out.Read(make([]byte, 200)); err != nil {
			t.Fatal(err)
		}
		session := func() *testkit.Conn {
			c, err := net.Dial("unix", socket)
			if err != nil {
				t.Fatal(err)
			}
			s := testkit.NewConn(t, c.(*net.UnixConn))
			s.Hello(channel.HelloMessage{Protocol: channel.Version, Role: channel.RoleSession})
			return s
		}
		first, second := session(), session()
		starter.Close()
		first.Close()
		session().Close()
		select {
		case err := <-ended:
			t.Fatalf("the daemon ended (%v); it is still needed", err)
		default:
		}
		second.Send(testkit.JSON(channel.Call, 1, map[string]any{"method": "unregister", "params": channel.UnregisterParams{ID: 1}}))
		second.Want(channel.Reply)
		second.Close()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if _, err := os.Lstat(dir); os.IsNotExist(err) == there {
			t.Errorf("the folder was there: %v; afterwards: %v", there, err)
		}
	}
}
