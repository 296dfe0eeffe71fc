package redisserver_test

import (
	"bufio"
	"context"
	"fmt"
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
	if err == nil {
		err = s.Pause()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(s.Addr())
	select {}
}

// The server is paused, which is the harder case. The tests of the demo kill the parent of one that runs.
func TestNothingIsLeftOfAServerWhoseParentIsKilled(t *testing.T) {
	temp := t.TempDir()
	parent := exec.Command(os.Args[0])
	parent.Env = append(os.Environ(), parentVariable+"=yes", "TMPDIR="+temp)
	parent.Stderr = os.Stderr
	out, err := parent.StdoutPipe()
	must(t, err)
	must(t, parent.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	must(t, parent.Process.Kill())
	_ = parent.Wait() // says that it was killed
	must(t, err)
	redistest.Wait(t, "the orphan to end", func() bool {
		conn, err := net.Dial("tcp", strings.TrimSpace(line))
		if err == nil {
			_ = conn.Close()
		}
		return err != nil
	})
	redistest.Wait(t, "the folder to go", func() bool {
		left, err := os.ReadDir(temp)
		must(t, err)
		return len(left) == 0
	})
}
