package fleet

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"time"

	"visit-counter/internal/child"
	"visit-counter/internal/poll"
	"visit-counter/internal/redisserver"
)

const (
	probeStarting = 25 * time.Millisecond  // how often a process that does not answer yet is asked
	probeRunning  = 250 * time.Millisecond // how often one that does is asked
	probeTimeout  = 8 * time.Second        // for an answer: longer than the instance's own limit for Redis

	shortLife       = 2 * time.Second // a process that ends sooner may do so again and again
	firstPause      = 250 * time.Millisecond
	maxPause        = 8 * time.Second
	maxFailedStarts = 3 // processes in a row that end soon before the start of the fleet fails

	maxLine   = 16 << 10 // bytes; a longer line of an instance becomes several
	lastLines = 12       // of an instance's log, for the error if it does not start
)

// Instance is one place in the fleet, and the process that fills it at present. Its methods are safe for concurrent use.
type Instance struct {
	fleet *Fleet
	name  string

	mu      sync.Mutex
	process *os.Process // the present or the last one, nil before the first
	addr    string      // host and port of the present process, empty without one
	health  health
}

// health is what is known of an instance.
type health int

const (
	down    health = iota // not started, not listening, or silent
	unready               // answers, but cannot count visits now, or is stopping
	ready
)

// Name returns the name that the instance shows to visitors, such as "web.2".
func (in *Instance) Name() string { return in.name }

// Kill ends the present process at once (SIGKILL). The fleet starts another one.
func (in *Instance) Kill() {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.process != nil {
		_ = in.process.Kill() // fails only if it has ended
	}
}

// Restart stops the present process with SIGTERM and returns when the next one answers; if the present one is ready, when
// the next one is, too. The balancer goes on sending requests meanwhile: the program must finish those that it has taken.
func (in *Instance) Restart(ctx context.Context) error {
	before, wanted := in.state()
	if err := in.terminate(); err != nil {
		return fmt.Errorf("restart %s: %w", in.name, err)
	}
	back := func() bool {
		addr, h := in.state()
		return addr != before && h >= max(wanted, unready)
	}
	if err := poll.Until(ctx, back); err != nil {
		return fmt.Errorf("restart %s: it is not back: %w", in.name, err)
	}
	return nil
}

// terminate asks the present process to end. It is no error if that has ended.
func (in *Instance) terminate() error {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.process == nil {
		return nil
	}
	return child.Terminate(in.process)
}

// state returns the present address and health.
func (in *Instance) state() (addr string, h health) {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.addr, in.health
}

// move sets the address of a new process, or none. It is down until it is reported to be better.
func (in *Instance) move(addr string) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.addr, in.health = addr, down
}

// report sets the health of the process at addr. A report on an earlier process is ignored.
func (in *Instance) report(addr string, h health) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.addr == addr {
		in.health = h
	}
}

// supervise keeps the instance running until ctx ends, and then stops it.
func (in *Instance) supervise(ctx context.Context) {
	failures := 0 // processes in a row that ended soon
	for {
		began := time.Now()
		log, err := in.run(ctx)
		if ctx.Err() != nil {
			return
		}
		if failures++; time.Since(began) >= shortLife {
			failures = 0
		}
		reason, when := "has stopped", "now"
		if err != nil {
			reason = fmt.Sprintf("has ended (%v)", err)
		}
		pause := pauseAfter(failures)
		if pause > 0 {
			when = "in " + pause.String()
		}
		in.fleet.opts.Log("fleet", fmt.Sprintf("%s: the process %s; starting it again %s", in.name, reason, when))
		if failures >= maxFailedStarts {
			in.fleet.startFailed(fmt.Errorf("%s: the process %s; the end of its log:\n%s", in.name, reason, log))
		}
		poll.Pause(ctx, pause)
	}
}

// pauseAfter returns how long to wait after so many failures in a row: the first one may be an accident.
func pauseAfter(failures int) time.Duration {
	if failures < 2 {
		return 0
	}
	return min(firstPause<<min(failures-2, 10), maxPause)
}

// run runs a process to its end, which comes at the latest when ctx ends, and returns the last lines of its log.
func (in *Instance) run(ctx context.Context) (log string, err error) {
	port, err := redisserver.ReservePort()
	if err != nil {
		return "", err
	}
	defer port.Release()
	out, writer := io.Pipe()
	cmd, err := in.start(ctx, port.Number, writer)
	if err != nil {
		return "", err
	}
	addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(port.Number))
	in.move(addr)
	defer in.move("")

	probes, stopProbes := context.WithCancel(ctx)
	var background sync.WaitGroup
	background.Go(func() { in.probe(probes, addr) })
	background.Go(func() { log = in.passOn(out) })
	err = cmd.Wait()
	stopProbes()
	_ = writer.Close() // the end of the log
	background.Wait()
	return log, err
}

// start starts a process that writes to out.
func (in *Instance) start(ctx context.Context, port int, out io.Writer) (*exec.Cmd, error) {
	cmd, err := child.Command(ctx, stopTimeout, in.fleet.opts.Program, "serve")
	if err != nil {
		return nil, err
	}
	cmd.Dir, cmd.Env = in.fleet.workDir, in.environment(port)
	cmd.Stdout, cmd.Stderr = out, out
	in.mu.Lock()
	defer in.mu.Unlock()
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	in.process = cmd.Process
	return cmd, nil
}

// passOn passes a log on, line by line, and returns its last lines.
func (in *Instance) passOn(log io.Reader) string {
	var last []string
	for r := bufio.NewReaderSize(log, maxLine); ; {
		line, _, err := r.ReadLine()
		if err != nil {
			return strings.Join(last, "\n")
		}
		in.fleet.opts.Log(in.name, string(line))
		last = append(last, string(line))
		last = last[max(0, len(last)-lastLines):]
	}
}

// environment returns the whole environment of the instance: nothing of this process's own but what the system needs.
func (in *Instance) environment(port int) []string {
	f := in.fleet
	env := append([]string{
		"PORT=" + strconv.Itoa(port),
		"INSTANCE=" + in.name,
		"DEMO_CONTROLS=true",
		"TRUSTED_PROXIES=127.0.0.0/8",
	}, f.store.env...)
	env = append(env, f.opts.Environment...)
	for _, name := range []string{"SYSTEMROOT", "TMPDIR", "TZ"} {
		if value, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+value)
		}
	}
	return env
}

// probe asks the process at addr for its health until ctx ends.
func (in *Instance) probe(ctx context.Context, addr string) {
	client := &http.Client{Timeout: probeTimeout, Transport: &http.Transport{DisableKeepAlives: true}}
	for ctx.Err() == nil {
		h, interval := ask(ctx, client, addr), probeRunning
		if h == down {
			interval = probeStarting
		}
		in.report(addr, h)
		poll.Pause(ctx, interval)
	}
}

func ask(ctx context.Context, client *http.Client, addr string) health {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+"/readyz", nil)
	if err != nil {
		return down
	}
	answer, err := client.Do(r)
	if err != nil {
		return down
	}
	_ = answer.Body.Close()
	if answer.StatusCode == http.StatusOK {
		return ready
	}
	return unready
}
