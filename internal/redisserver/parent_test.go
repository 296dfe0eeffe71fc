package redisserver_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"

	"visit-counter/internal/redisserver"
	"visit-counter/internal/redistest"
)

const parentVariable = "REDISSERVER_TEST_PARENT"

// TestMain lets the test binary be the parent that TestNothingIsLeftOfAServerWhoseParentIsKilled kills.
func TestMain(m *testing.M) {
	if os.Getenv(parentVariable) == "" {
		os.Exit(m.Run())
	}
	s, err := redisserver.Start(context.Background(), redisserver.Options{})
	if err == nil && os.Getenv(parentVariable) == "pause" {
		err = s.Pause()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(s.Addr(), s.Dir())
	select {}
}

func TestNothingIsLeftOfAServerWhoseParentIsKilled(t *testing.T) {
	for _, state := range []string{"run", "pause"} {
		parent := exec.Command(os.Args[0])
		parent.Env = append(os.Environ(), parentVariable+"="+state)
		parent.Stderr = os.Stderr
		out, err := parent.StdoutPipe()
		must(t, err)
		must(t, parent.Start())
		line, err := bufio.NewReader(out).ReadString('\n')
		must(t, parent.Process.Kill())
		_ = parent.Wait() // says that it was killed
		addr, dir, ok := strings.Cut(strings.TrimSpace(line), " ")
		if err != nil || !ok {
			t.Fatalf("the parent says %q, %v; want address and folder of its server", line, err)
		}
		redistest.Wait(t, "the orphan to end", func() bool {
			conn, err := net.Dial("tcp", addr)
			if err == nil {
				_ = conn.Close()
			}
			return err != nil
		})
		redistest.Wait(t, "the folder to go", func() bool {
			_, err := os.Stat(dir)
			return errors.Is(err, fs.ErrNotExist)
		})
	}
}
