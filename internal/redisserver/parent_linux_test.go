package redisserver_test

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"visit-counter/internal/redisserver"
)

const parentVariable = "REDISSERVER_TEST_PARENT"

// The main thread would not end with its goroutine, so no test may run on it.
func init() { runtime.LockOSThread() }

// TestMain lets the test binary be the parent that TestServerDiesWithItsParent kills.
func TestMain(m *testing.M) {
	if os.Getenv(parentVariable) == "" {
		os.Exit(m.Run())
	}
	s, err := redisserver.Start(context.Background(), redisserver.Options{Dir: os.Getenv(parentVariable)})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(s.Addr())
	select {}
}

func TestServerDiesWithItsParent(t *testing.T) {
	parent := exec.Command(os.Args[0])
	parent.Env = append(os.Environ(), parentVariable+"="+t.TempDir())
	parent.Stderr = os.Stderr
	out, err := parent.StdoutPipe()
	must(t, err)
	must(t, parent.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	must(t, parent.Process.Kill())
	_ = parent.Wait() // says that it was killed
	if err != nil {
		t.Fatalf("the parent says %q, %v; want the address of its server", line, err)
	}
	await(t, "the orphan to end", func() bool {
		conn, err := net.Dial("tcp", strings.TrimSpace(line))
		if err == nil {
			conn.Close()
		}
		return err != nil
	})
}

func TestServerOutlivesTheThreadThatStartedIt(t *testing.T) {
	type result struct {
		server *redisserver.Server
		err    error
		thread int
	}
	ended := make(chan result)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with this goroutine
		s, err := redisserver.Start(context.Background(), redisserver.Options{})
		ended <- result{s, err, syscall.Gettid()}
	}()
	r := <-ended
	must(t, r.err)
	defer r.server.Close()
	await(t, "the thread to end", func() bool {
		_, err := os.Stat("/proc/self/task/" + strconv.Itoa(r.thread))
		return os.IsNotExist(err)
	})
	must(t, client(t, r.server).Ping(deadline(t)).Err())
}

// await waits for a condition.
func await(t *testing.T, what string, met func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for ctx := deadline(t); !met(); {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("waited in vain for %s", what)
		}
	}
}
