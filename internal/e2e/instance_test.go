// Package e2e has the end-to-end tests: they run the program in separate processes, with real servers and browsers.
//
// The tests are in visits_*, faults_*, browser_* and platform_*. The other files hold what they share: the program as a
// process, its visitors, the router in front of it, a tally of visits, a tab of Chromium.
package e2e

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"visit-counter/internal/child"
	"visit-counter/internal/commands"
	"visit-counter/internal/proctest"
	"visit-counter/internal/redistest"
)

var must = redistest.Must

// roleVariable makes the test binary run as another program, usually the visit counter. So the tests run the real program
// in real processes, with the race detector.
const roleVariable = "VISIT_COUNTER_TEST_ROLE"

var roles = map[string]func() int{"program": commands.Main, "leak": leak, "race": race}

// raceFound is the exit status of a process in which the race detector has found a race.
const raceFound = 66

const stopTimeout = 20 * time.Second

// longTimeout lets an instance wait longer for Redis than by default, for tests in which a visit that a busy machine makes
// it refuse would prove nothing.
const longTimeout = "REDIS_TIMEOUT=7s"

func TestMain(m *testing.M) {
	if run, ok := roles[os.Getenv(roleVariable)]; ok {
		os.Exit(run())
	}
	if signal.Ignored(os.Interrupt) { // if a script runs the tests in the background; the instances would inherit it
		signal.Notify(make(chan os.Signal, 1), os.Interrupt)
	}
	temp, err := child.TempDir() // removed with this process, even if it is killed
	if err == nil {
		err = os.Setenv("TMPDIR", temp)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "FAIL:", err)
		os.Exit(1)
	}
	code := m.Run()
	chromium.close()
	os.Exit(code)
}

// instance is one running process of the program.
type instance struct {
	url    string
	env    []string
	cmd    *exec.Cmd
	output output
	exited chan struct{}
	status int // after exited
}

// output collects what a process prints.
type output struct{ proctest.Output }

// count returns how many log lines have this message.
func (o *output) count(message string) int {
	return strings.Count(o.String(), `"msg":"`+message+`"`)
}

// withoutRequests returns the output without the lines about requests.
func (o *output) withoutRequests() string {
	var lines strings.Builder
	for line := range strings.Lines(o.String()) {
		if !strings.Contains(line, `"msg":"request"`) {
			lines.WriteString(line)
		}
	}
	return lines.String()
}

// command returns a command that ends with this process. It has only these variables in its environment, and an empty
// working directory.
func command(t testing.TB, env []string, name string, args ...string) *exec.Cmd {
	t.Helper()
	cmd, err := child.Command(context.Background(), stopTimeout, name, args...)
	must(t, err)
	cmd.Dir = t.TempDir()
	cmd.Env = slices.Concat([]string{"PATH=" + os.Getenv("PATH"), "GORACE=halt_on_error=1 atexit_sleep_ms=0"}, env)
	return cmd
}

// program returns a command that runs the program with these variables.
func program(t testing.TB, env ...string) *exec.Cmd {
	t.Helper()
	return command(t, append(slices.Clone(env), roleVariable+"=program"), os.Args[0])
}

// launch starts a command. When the test ends, it ends the process and checks its output.
func launch(t testing.TB, cmd *exec.Cmd) *instance {
	t.Helper()
	i := &instance{cmd: cmd, exited: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = &i.output, &i.output
	must(t, cmd.Start())
	go func() {
		_ = cmd.Wait() // the status says it
		i.status = cmd.ProcessState.ExitCode()
		close(i.exited)
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-i.exited
		for _, found := range i.faults(t) {
			t.Error(found)
		}
		if t.Failed() {
			text := i.output.String()
			t.Logf("an instance printed:\n%s", text[max(0, len(text)-4000):])
		}
	})
	return i
}

// faults describes what this process did that none may do: print a secret, or have a data race.
func (i *instance) faults(t testing.TB) (found []string) {
	text := i.output.String()
	for _, line := range secretsOf(t).leaks(text) {
		found = append(found, "an instance printed "+line)
	}
	if i.status == raceFound {
		start := max(0, strings.Index(text, "WARNING: DATA RACE"))
		found = append(found, "an instance had a data race:\n"+text[start:min(start+3000, len(text))])
	}
	return found
}

// start starts an instance on a free port and waits until it serves.
func start(t testing.TB, env ...string) *instance {
	t.Helper()
	port := freePort(t)
	return startAt(t, "http://127.0.0.1:"+port, append(slices.Clone(env), "PORT="+port)...)
}

// restart starts an instance like i on i's port.
func (i *instance) restart(t testing.TB) *instance {
	t.Helper()
	return startAt(t, i.url, i.env...)
}

func startAt(t testing.TB, url string, env ...string) *instance {
	t.Helper()
	i := launch(t, program(t, env...))
	i.url, i.env = url, env
	i.awaitHealth(t)
	return i
}

func (i *instance) awaitHealth(t testing.TB) {
	t.Helper()
	redistest.Wait(t, "the instance to serve", func() bool {
		select {
		case <-i.exited:
			t.Fatalf("the instance ended with status %d:\n%s", i.status, i.output.String())
		default:
		}
		answer, err := http.Get(i.url + "/healthz")
		if err != nil {
			return false
		}
		_ = answer.Body.Close()
		return answer.StatusCode == http.StatusOK
	})
}

// awaitRedis waits until the instance's last log line about Redis says that it is connected, and returns how often Redis was
// lost before: on a busy machine that can happen at any time.
func (i *instance) awaitRedis(t testing.TB) (lost int) {
	t.Helper()
	redistest.Wait(t, "the log to say that Redis is connected", func() bool {
		lost = i.output.count("redis lost")
		return i.output.count("redis connected")+i.output.count("redis back") > 0 && i.output.count("redis back") == lost
	})
	return lost
}

// awaitLog waits until the instance has logged the message at least n times.
func (i *instance) awaitLog(t testing.TB, message string, n int) {
	t.Helper()
	redistest.Wait(t, "the log to say "+message, func() bool { return i.output.count(message) >= n })
}

func (i *instance) signal(t testing.TB, s syscall.Signal) {
	t.Helper()
	must(t, i.cmd.Process.Signal(s))
}

// end sends a signal, and returns the exit status of the process and how long it took to end.
func (i *instance) end(t testing.TB, s syscall.Signal) (status int, after time.Duration) {
	t.Helper()
	began := time.Now()
	i.signal(t, s)
	return i.await(t), time.Since(began)
}

// stop sends an instance SIGTERM, as platforms do, and fails the test unless it ends with status 0 in time.
func (i *instance) stop(t testing.TB) (after time.Duration) {
	t.Helper()
	status, after := i.end(t, syscall.SIGTERM)
	if status != 0 || after > maxDrain {
		t.Errorf("SIGTERM ended the instance with status %d after %v, want 0 within %v", status, after, maxDrain)
	}
	return after
}

// await waits until the process ends by itself, and returns its exit status.
func (i *instance) await(t testing.TB) int {
	t.Helper()
	select {
	case <-i.exited:
		return i.status
	case <-time.After(30 * time.Second):
		t.Fatal("the instance does not end")
		return 0
	}
}

// wantNoStart fails the test unless the instance ends by itself without having served, and prints all these parts.
func (i *instance) wantNoStart(t testing.TB, why ...string) {
	t.Helper()
	if status := i.await(t); status != 1 || i.output.count("serving") > 0 {
		t.Errorf("status %d, want 1 before it serves:\n%s", status, i.output.String())
	}
	for _, part := range why {
		if !strings.Contains(i.output.String(), part) {
			t.Errorf("%q is not in:\n%s", part, i.output.String())
		}
	}
}

// memory returns how many bytes of memory the instance uses. (A child's resource usage, which Go reports after its end,
// starts with the memory of its parent process.)
func (i *instance) memory(t testing.TB) int {
	t.Helper()
	text, err := exec.Command("ps", "-o", "rss=", "-p", strconv.Itoa(i.cmd.Process.Pid)).Output()
	must(t, err)
	kilobytes, err := strconv.Atoi(strings.TrimSpace(string(text)))
	must(t, err)
	return kilobytes << 10
}

// freePort returns a port that stays reserved until the test ends, so that an instance can be restarted on it.
func freePort(t testing.TB) string {
	t.Helper()
	return strconv.Itoa(redistest.ReservePort(t).Number)
}
