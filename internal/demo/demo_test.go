package demo

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/spf13/cobra"

	"visit-counter/internal/fleet"
	"visit-counter/internal/proctest"
	"visit-counter/internal/redistest"
	"visit-counter/internal/visitor"
)

var must = redistest.Must

// start starts a fleet, and closes it at the end of the test.
func start(t *testing.T, o fleet.Options) *fleet.Fleet {
	t.Helper()
	o.Environment = append(o.Environment, "GORACE=atexit_sleep_ms=0")
	f, err := fleet.Start(t.Context(), o)
	must(t, err)
	t.Cleanup(func() { must(t, f.Close()) })
	return f
}

// environment returns a getenv that knows the given variables: names and values alternate.
func environment(variables ...string) func(string) string {
	return func(name string) string {
		for i := 0; i < len(variables); i += 2 {
			if variables[i] == name {
				return variables[i+1]
			}
		}
		return ""
	}
}

// command runs a command as the program would, and returns its exit status and output.
func command(t *testing.T, cmd *cobra.Command, args ...string) (status int, output string) {
	t.Helper()
	var out proctest.Output
	cmd.SetArgs(append([]string{}, args...))
	cmd.SetOut(&out)
	cmd.SetErr(&out)
	cmd.SilenceUsage = true
	status = 2 // until it runs
	work := cmd.RunE
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		status = 1
		return work(cmd, args)
	}
	if cmd.ExecuteContext(t.Context()) == nil {
		status = 0
	}
	return status, out.String()
}

func TestMistakesInTheFlagsAreNamed(t *testing.T) {
	tests := []struct {
		name, args, wanted string
		command            func(getenv func(string) string) *cobra.Command
	}{
		{"no instances", "--instances 0", "--instances must be between 1 and 32", Demo},
		{"too many instances", "--instances 33", "--instances must be between 1 and 32", Demo},
		{"port out of range", "--port 65536", "--port must be between 0 and 65535", Demo},
		{"unknown store", "--store disk", "--store must be redis or memory", Demo},
		{"memory and a Redis", "--store memory --redis redis://localhost", "cannot be combined with --redis", Demo},
		{"a Redis without a scheme", "--redis localhost:6379", "--redis: REDIS_URL: ", Demo},
		{"demo: unknown flag", "--prot 1", "unknown flag: --prot", Demo},
		{"proof with one instance", "--instances 1", "--instances must be between 2 and 32", Prove},
		{"address without a scheme", "--url example.com", "--url must be an http or https address", Prove},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			status, output := command(t, tt.command(environment()), strings.Fields(tt.args)...)
			if status != 2 || !strings.Contains(output, tt.wanted) {
				t.Errorf("status %d, %q; want 2 and %q", status, output, tt.wanted)
			}
		})
	}
}

func TestThePortComesFromTheEnvironmentToo(t *testing.T) {
	for _, test := range []struct {
		args []string
		want int
	}{{nil, 8090}, {[]string{"--port", "8091"}, 8091}} {
		cmd := Demo(environment("PORT", "8090"))
		must(t, cmd.ParseFlags(test.args))
		if port, err := cmd.Flags().GetInt("port"); err != nil || port != test.want {
			t.Errorf("%q: port = %d, %v, want %d", test.args, port, err, test.want)
		}
	}
	if status, output := command(t, Demo(environment("PORT", "http"))); status != 2 || !strings.Contains(output, "PORT is not a number") {
		t.Errorf("status %d, %q; want 2 and an error that names PORT", status, output)
	}
}

func TestAPortInUseIsAnErrorWithAWayOut(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer func() { _ = l.Close() }()
	port := strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
	status, output := command(t, Demo(environment()), "--port", port)
	if status != 1 || !strings.Contains(output, "port "+port) || !strings.Contains(output, "--port N chooses another one") {
		t.Errorf("status %d, %q; want 1, the port and the way out", status, output)
	}
}

func TestInstancesGetOnlyTheVariablesTheyNeed(t *testing.T) {
	getenv := environment("SESSION_SECRET", "secret", "LOG_LEVEL", "debug", "REDIS_TLS_CA", "ca.pem", "AWS_KEY", "key")
	if got := strings.Join(instanceEnvironment(demoOptions{}, getenv), " "); got != "LOG_FORMAT=text COOKIE_NAME=demo-session LOG_LEVEL=debug" {
		t.Errorf("without --redis: %q", got)
	}
	got := strings.Join(instanceEnvironment(demoOptions{redis: "redis://localhost"}, getenv), " ")
	if !strings.Contains(got, "SESSION_SECRET=secret") || strings.Contains(got, "AWS") {
		t.Errorf("with --redis: %q", got)
	}
	if !strings.Contains(got, "REDIS_TLS_CA=/") || !strings.Contains(got, "/ca.pem") {
		t.Errorf("the path of the CA is not absolute: %q", got)
	}
}

func TestLettersBreakAndMendTheFleet(t *testing.T) {
	var out proctest.Output
	log := &transcript{out: &out}
	f := start(t, fleet.Options{Instances: 2, Log: log.line})
	typing, keyboard := io.Pipe()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		control(t.Context(), f, typing, log)
	}()
	for _, step := range []struct{ key, wanted string }{
		{"k", "web.1: the process has ended (signal: killed); starting it again now"},
		{"k", "web.2: the process has ended (signal: killed)"},
		{"r", "all instances have been restarted"},
		{"s", "Redis has stopped"},
		{"S", "Redis is back, with its data"},
	} {
		_, err := io.WriteString(keyboard, step.key+"\n")
		must(t, err)
		await(t, &out, step.wanted)
	}
	if !f.RedisServer().Running() {
		t.Error("Redis does not run after the second s")
	}
	help := keyHelp(f)
	if !strings.Contains(help, "s stop or start Redis") {
		t.Errorf("a demo with a redis-server does not offer to stop it: %q", help)
	}
	_, err := io.WriteString(keyboard, "?\n")
	must(t, err)
	redistest.Wait(t, "the help, at the start and for the letter", func() bool { return strings.Count(out.String(), help) == 2 })
	_, err = io.WriteString(keyboard, "q\n")
	must(t, err)
	<-ended
}

// await waits until the output contains the wanted text.
func await(t *testing.T, out *proctest.Output, wanted string) {
	t.Helper()
	redistest.Wait(t, fmt.Sprintf("%q", wanted), func() bool { return strings.Contains(out.String(), wanted) })
}

func TestTheDemoOutlivesTheEndOfItsInput(t *testing.T) {
	var out proctest.Output
	f := start(t, fleet.Options{Memory: true})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		control(ctx, f, strings.NewReader("s\n?\n"), &transcript{out: &out})
	}()
	await(t, &out, "cannot stop its Redis")
	help := keyHelp(f)
	redistest.Wait(t, "the help, at the start and for the letter", func() bool { return strings.Count(out.String(), help) == 2 })
	if strings.Contains(help, "Redis") {
		t.Errorf("a demo without a redis-server offers to stop it: %q", help)
	}
	select {
	case <-ended:
		t.Error("the end of the input ended the demo")
	default:
	}
	cancel()
	<-ended
}

// process is the test binary, run as another process.
type process struct {
	*exec.Cmd
	out proctest.Output
}

// launch starts a process with its own TMPDIR. The test's cleanup kills it if it still runs.
func launch(t *testing.T, temp string, args ...string) *process {
	t.Helper()
	p := &process{Cmd: exec.Command(os.Args[0], args...)}
	p.Env = []string{"PATH=" + os.Getenv("PATH"), "TMPDIR=" + temp}
	p.Stdout, p.Stderr = &p.out, &p.out
	must(t, p.Start())
	t.Cleanup(func() {
		p.end(syscall.SIGKILL)
		if t.Failed() {
			t.Logf("the output of %s:\n%s", args[0], p.out.String())
		}
	})
	return p
}

// end sends a signal to the process, unless it has ended, and returns its exit status: -1 if the signal killed it.
func (p *process) end(signal os.Signal) (status int) {
	if p.ProcessState == nil {
		_ = p.Process.Signal(signal)
		_ = p.Wait() // the exit status has the result
	}
	return p.ProcessState.ExitCode()
}

// startDemo starts a demo, waits until it serves, and returns its port.
func startDemo(t *testing.T, temp string, flags ...string) (demo *process, port string) {
	t.Helper()
	demo = launch(t, temp, append([]string{"demo", "--port", "0", "--open=false"}, flags...)...)
	await(t, &demo.out, "address: ")
	return demo, regexp.MustCompile(`address: http://localhost:(\d+)`).FindStringSubmatch(demo.out.String())[1]
}

func TestTheDemoServesABrowser(t *testing.T) {
	demo, port := startDemo(t, t.TempDir())
	v, tally := visitor.New("http://localhost:"+port, nil), new(visitor.Tally)
	tally.Visits(t.Context(), v, 8)
	if err := tally.CheckExact(8, noLimit); err != nil || len(tally.Sum().PerInstance) != 4 {
		t.Errorf("8 visits came from %v (%v), want 2 from each of 4", tally.Sum().PerInstance, err)
	}
	if cookies := v.Cookies(); len(cookies) != 1 || cookies[0].Name == "session" {
		t.Errorf("the demo's cookies are %v, want one whose name differs from the app's: cookies ignore the port", cookies)
	}
	if a, err := v.Request(t.Context(), http.MethodPost, "/stop"); err != nil || a.Status != http.StatusAccepted {
		t.Errorf("/stop: %d %v, want 202: the demo controls should be on", a.Status, err)
	}
	if status := demo.end(syscall.SIGTERM); status != 0 {
		t.Errorf("the demo ended with status %d, want 0", status)
	}
	if strings.Contains(demo.out.String(), "/readyz") {
		t.Error("the fleet's health checks are in the log")
	}
}

func TestLogsAreMergedLineByLine(t *testing.T) {
	var out proctest.Output
	log := &transcript{out: &out}
	log.line("web.1", "a line")
	log.line("web.1", "msg=request route=/readyz status=200")
	log.say("%d lines", 2)
	log.colour = true // neighbours get different colours
	log.line("web.1", "hello")
	log.line("web.2", "hello")
	want := "web.1  | a line\ndemo   | 2 lines\n\x1b[36mweb.1  | \x1b[0mhello\n\x1b[33mweb.2  | \x1b[0mhello\n"
	if out.String() != want {
		t.Errorf("merged: %q, want %q", out.String(), want)
	}
}

func TestABrowserIsOpenedOnlyIfThereIsAScreen(t *testing.T) {
	tests := []struct {
		name, system string
		getenv       func(string) string
		want         string
	}{
		{"Linux, X11", "linux", environment("DISPLAY", ":0"), "xdg-open"},
		{"Linux, Wayland", "linux", environment("WAYLAND_DISPLAY", "wayland-0"), "xdg-open"},
		{"Linux without a screen", "linux", environment(), ""},
		{"macOS", "darwin", environment(), "open"},
		{"macOS over SSH", "darwin", environment("SSH_CONNECTION", "somewhere"), ""},
		{"Windows", "windows", environment(), "rundll32 url.dll,FileProtocolHandler"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := strings.Join(browserOpener(tt.system, tt.getenv), " "); got != tt.want {
				t.Errorf("opened with %q, want %q", got, tt.want)
			}
		})
	}
}
