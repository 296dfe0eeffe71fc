package fleet

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"visit-counter/internal/child"
	"visit-counter/internal/poll"
	"visit-counter/internal/redisserver"
)

const (
	probeStarting = 25 * time.Millisecond  // between probes of a process that does not answer yet
	probeRunning  = 250 * time.Millisecond // between probes of one that answers
	probeTimeout  = 8 * time.Second        // longer than the instance's own limit for Redis

	shortLife       = 2 * time.Second // a process that ends sooner has failed
	firstPause      = 250 * time.Millisecond
	maxPause        = 8 * time.Second
	maxFailedStarts = 3 // failures in a row that make the start of the fleet fail

	maxLine   = 16 << 10 // bytes; a longer line is split
	lastLines = 12       // of an instance's log, for the error if it does not start
)

// Instance is one place in the fleet, with the process that runs there now. Its methods are safe for concurrent use.
type Instance struct {
	fleet   *Fleet
	name    string
	present atomic.Pointer[process] // nil while there is none
}

// process is one process of the program.
type process struct {
	*os.Process
	addr   string // the host and port where it listens, or will listen
	health atomic.Int32
}

// The health of a process.
const (
	down    int32 = iota // not listening, or silent
	unready              // answers, but cannot count visits now, or is stopping
	ready
)

// Name returns the name that visitors see, such as "web.2".
func (in *Instance) Name() string { return in.name }

// Kill kills the current process (SIGKILL) and returns when it is gone. The fleet starts another one.
func (in *Instance) Kill() {
	if p := in.present.Load(); p != nil {
		_ = p.Kill() // fails only if the process has ended
		_ = poll.Until(context.Background(), func() bool { return in.present.Load() != p })
	}
}

// Restart stops the current process with SIGTERM and returns when the next one is as healthy: when it is ready if the
// current one is, else when it answers. Meanwhile the balancer keeps sending requests: the program must finish those that
// it has accepted.
func (in *Instance) Restart(ctx context.Context) error {
	before, wanted := in.present.Load(), max(in.health(), unready)
	if before != nil {
		if err := child.Terminate(before.Process); err != nil {
			return fmt.Errorf("restart %s: %w", in.name, err)
		}
	}
	back := func() bool { return in.present.Load() != before && in.health() >= wanted }
	if err := poll.Until(ctx, back); err != nil {
		return fmt.Errorf("restart %s: it did not come back: %w", in.name, err)
	}
	return nil
}

// health returns the health of the current process.
func (in *Instance) health() int32 {
	if p := in.present.Load(); p != nil {
		return p.health.Load()
	}
	return down
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

// pauseAfter returns how long to wait after a number of failures in a row. A single one may be an accident.
func pauseAfter(failures int) time.Duration {
	if failures < 2 {
		return 0
	}
	return min(firstPause<<min(failures-2, 10), maxPause)
}

// run runs a process until it ends, or stops it when ctx ends, and returns the last lines of its log.
func (in *Instance) run(ctx context.Context) (log string, err error) {
	port, err := redisserver.ReservePort()
	if err != nil {
		return "", err
	}
	defer port.Release()
	cmd, err := child.Command(ctx, stopTimeout, in.fleet.opts.Program, "serve")
	if err != nil {
		return "", err
	}
	out, writer := io.Pipe()
	cmd.Dir, cmd.Env = in.fleet.workDir, in.environment(port.Number)
	cmd.Stdout, cmd.Stderr = writer, writer
	if err := cmd.Start(); err != nil {
		return "", err
	}
	p := &process{Process: cmd.Process, addr: port.Addr()}
	in.present.Store(p)
	defer in.present.Store(nil)

	probes, stopProbes := context.WithCancel(ctx)
	var background sync.WaitGroup
	background.Go(func() { p.probe(probes) })
	background.Go(func() { log = in.passOn(out) })
	err = cmd.Wait()
	stopProbes()
	_ = writer.Close() // the end of the log
	background.Wait()
	return log, err
}

// passOn passes each line of a log on to the fleet's log, and returns the last lines.
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

// environment returns the environment of the instance. Of this process's own, it has only what the system needs.
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

// probe checks the health of the process again and again until ctx ends.
func (p *process) probe(ctx context.Context) {
	client := &http.Client{Timeout: probeTimeout, Transport: &http.Transport{DisableKeepAlives: true}}
	for ctx.Err() == nil {
		health, interval := down, probeStarting
		if answer, err := client.Get("http://" + p.addr + "/readyz"); err == nil {
			_ = answer.Body.Close()
			health, interval = unready, probeRunning
			if answer.StatusCode == http.StatusOK {
				health = ready
			}
		}
		p.health.Store(health)
		poll.Pause(ctx, interval)
	}
}
