package demo

import (
	"net"
	"os"
	"regexp"
	"slices"
	"syscall"
	"testing"

	"visit-counter/internal/proctest"
	"visit-counter/internal/redistest"
)

// These tests end the demo in every way. They recognise its processes by TMPDIR or by the working directory.

func TestCtrlCLeavesNothingBehind(t *testing.T)   { endDemo(t, syscall.SIGINT, 0) }
func TestSIGTERMLeavesNothingBehind(t *testing.T) { endDemo(t, syscall.SIGTERM, 0) }
func TestSIGKILLLeavesNothingBehind(t *testing.T) { endDemo(t, syscall.SIGKILL, -1) }

func endDemo(t *testing.T, signal syscall.Signal, status int) {
	t.Helper()
	temp := t.TempDir()
	demo, _ := startDemo(t, temp, "--instances", "2")
	running, ports := proctest.Processes(temp), portsIn(demo.out.String())
	if len(running) != 5 { // the demo, its guard, redis-server and two instances
		t.Errorf("%d processes are running, want 5: %v", len(running), running)
	}
	if len(ports) != 4 { // balancer, Redis, two instances
		t.Errorf("the demo names %d ports, want 4: %v", len(ports), ports)
	}
	for _, port := range ports {
		if !listening(port) {
			t.Errorf("nothing listens on port %s", port)
		}
	}
	if entries, err := os.ReadDir(temp); err != nil || len(entries) != 1 {
		t.Errorf("TMPDIR contains %v (%v), want one directory", entries, err)
	}

	if got := demo.end(signal); got != status {
		t.Errorf("the demo ended with status %d, want %d", got, status)
	}
	proctest.NothingIsLeft(t, temp)
	for _, port := range ports { // a killed process disappears from /proc shortly before its sockets close
		redistest.Wait(t, "port "+port+" to be free", func() bool { return !listening(port) })
	}
}

func TestAProofThatIsKilledLeavesNothingBehind(t *testing.T) {
	temp := t.TempDir()
	proof := launch(t, temp, "prove")
	await(t, &proof.out, passed)
	proof.end(syscall.SIGKILL)
	proctest.NothingIsLeft(t, temp)
}

func TestASecondCtrlCDoesNotWait(t *testing.T) {
	temp := t.TempDir()
	demo, port := startDemo(t, temp, "--instances", "1")
	// A request that does not end keeps the balancer from stopping.
	conn, err := net.Dial("tcp", "127.0.0.1:"+port)
	must(t, err)
	defer func() { _ = conn.Close() }()
	_, err = conn.Write([]byte("POST /reset HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n"))
	must(t, err)
	await(t, &demo.out, "route=/reset") // the balancer has accepted the request, and waits for its body
	must(t, demo.Process.Signal(syscall.SIGINT))
	await(t, &demo.out, "stopping")
	if demo.end(syscall.SIGINT) != -1 {
		t.Errorf("after the second Ctrl-C the demo ended with %v, want the signal to end it", demo.ProcessState)
	}
	proctest.NothingIsLeft(t, temp)
}

func portsIn(log string) (ports []string) {
	for _, match := range regexp.MustCompile(`(?:localhost|127\.0\.0\.1):(\d+)`).FindAllStringSubmatch(log, -1) {
		if port := match[1]; !slices.Contains(ports, port) {
			ports = append(ports, port)
		}
	}
	return ports
}

func listening(port string) bool { return localRedis{addr: "127.0.0.1:" + port}.listens() }
