package demo

import (
	"bytes"
	"errors"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"visit-counter/internal/fleet/fleettest"
)

// The demo is ended in each way it can end. All it has started has its TMPDIR, or works in it, by which a test finds it.

func TestCtrlCLeavesNothingBehind(t *testing.T)   { endDemo(t, syscall.SIGINT, 0) }
func TestSIGTERMLeavesNothingBehind(t *testing.T) { endDemo(t, syscall.SIGTERM, 0) }
func TestSIGKILLLeavesNothingBehind(t *testing.T) { endDemo(t, syscall.SIGKILL, -1) }

func endDemo(t *testing.T, signal syscall.Signal, status int) {
	temp := t.TempDir()
	var out buffer
	cmd := exec.Command(fleettest.Program(t), "demo", "--port", "0", "--instances", "2", "--open=false")
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "TMPDIR=" + temp}
	cmd.Stdout, cmd.Stderr = &out, &out
	must(t, cmd.Start())
	await(t, &out, "the one address")

	running, ports := processes(t, temp), portsIn(out.String())
	if len(running) != 5 { // demo, janitor, redis-server, two instances
		t.Errorf("%d processes are running, want 5: %v\n%s", len(running), running, out.String())
	}
	if len(ports) != 4 { // balancer, Redis, two instances
		t.Errorf("%d ports are named, want 4: %v\n%s", len(ports), ports, out.String())
	}
	for _, port := range ports {
		if !listening(port) {
			t.Errorf("nobody listens on port %s", port)
		}
	}
	if len(entries(t, temp)) != 1 {
		t.Errorf("in TMPDIR: %v, want one folder", entries(t, temp))
	}

	must(t, cmd.Process.Signal(signal))
	err := cmd.Wait()
	if cmd.ProcessState.ExitCode() != status {
		t.Errorf("the demo ended with %v, want status %d\n%s", err, status, out.String())
	}
	eventually(t, "every process to end", func() bool { return len(processes(t, temp)) == 0 })
	eventually(t, "the folder to go", func() bool { return len(entries(t, temp)) == 0 })
	for _, port := range ports { // a process that is killed is gone from /proc a moment before its sockets are
		eventually(t, "port "+port+" to be free", func() bool { return !listening(port) })
	}
}

func TestASecondCtrlCDoesNotWait(t *testing.T) {
	temp := t.TempDir()
	var out buffer
	cmd := exec.Command(fleettest.Program(t), "demo", "--port", "0", "--instances", "1", "--open=false")
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "TMPDIR=" + temp}
	cmd.Stdout = &out
	must(t, cmd.Start())
	await(t, &out, "the one address")
	// A request that does not end keeps the balancer waiting.
	url := regexp.MustCompile(`the one address: http://localhost(:\d+)`).FindStringSubmatch(out.String())[1]
	conn, err := net.Dial("tcp", "127.0.0.1"+url)
	must(t, err)
	defer conn.Close()
	_, err = conn.Write([]byte("POST /reset HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n"))
	must(t, err)
	must(t, cmd.Process.Signal(syscall.SIGINT))
	await(t, &out, "stopping")
	must(t, cmd.Process.Signal(syscall.SIGINT))
	err = cmd.Wait()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGINT {
		t.Errorf("after the second Ctrl-C the demo ended with %v, want by the signal", err)
	}
	eventually(t, "every process to end", func() bool { return len(processes(t, temp)) == 0 })
	eventually(t, "the folder to go", func() bool { return len(entries(t, temp)) == 0 })
}

func eventually(t *testing.T, what string, met func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	timeout := time.After(30 * time.Second)
	for !met() {
		select {
		case <-tick.C:
		case <-timeout:
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// processes returns those that belong to this TMPDIR: name by process id. One that has ended has neither an environment
// nor a directory any more. (redis-server writes its title over its environment.)
func processes(t *testing.T, temp string) map[string]string {
	t.Helper()
	folders, err := filepath.Glob("/proc/[0-9]*")
	must(t, err)
	found := make(map[string]string)
	for _, folder := range folders { // any of which may go just now
		environment, _ := os.ReadFile(filepath.Join(folder, "environ"))
		dir, _ := os.Readlink(filepath.Join(folder, "cwd"))
		if bytes.Contains(environment, []byte("TMPDIR="+temp+"\x00")) || strings.HasPrefix(dir, temp) {
			name, _ := os.ReadFile(filepath.Join(folder, "comm"))
			found[filepath.Base(folder)] = strings.TrimSpace(string(name))
		}
	}
	return found
}

func portsIn(log string) []string {
	seen := make(map[string]bool)
	var ports []string
	for _, match := range regexp.MustCompile(`(?:localhost|127\.0\.0\.1):(\d+)`).FindAllStringSubmatch(log, -1) {
		if port := match[1]; !seen[port] {
			seen[port] = true
			ports = append(ports, port)
		}
	}
	return ports
}

func listening(port string) bool {
	n, err := strconv.Atoi(port)
	if err != nil {
		return false
	}
	conn, err := net.DialTCP("tcp", nil, &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: n})
	if err != nil {
		return false
	}
	return conn.Close() == nil
}

func entries(t *testing.T, dir string) []os.DirEntry {
	t.Helper()
	list, err := os.ReadDir(dir)
	must(t, err)
	return list
}

func TestTheWholeDemoIsThereForABrowser(t *testing.T) {
	temp := t.TempDir()
	var out buffer
	cmd := exec.Command(fleettest.Program(t), "demo", "--port", "0", "--open=false")
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "TMPDIR=" + temp}
	cmd.Stdout = &out
	must(t, cmd.Start())
	await(t, &out, "the one address")
	port := regexp.MustCompile(`the one address: http://localhost:(\d+)`).FindStringSubmatch(out.String())[1]
	v := &visitor{client: localClient(), url: "http://localhost:" + port, cookies: make(map[string]string)}
	sum := visits(t.Context(), v, 8)
	if err := sum.exact(8); err != nil || len(sum.per) != 4 {
		t.Errorf("8 visits came from %v (%v), want 2 from each of 4", sum.per, err)
	}
	if a, err := v.request(t.Context(), http.MethodPost, "/stop"); err != nil || a.status != http.StatusAccepted {
		t.Errorf("/stop: %d %v, want 202: the controls of the demo are on", a.status, err)
	}
	must(t, cmd.Process.Signal(syscall.SIGTERM))
	must(t, cmd.Wait())
	if strings.Contains(out.String(), "/readyz") {
		t.Errorf("the balancer's own questions are in the log:\n%s", out.String())
	}
}
