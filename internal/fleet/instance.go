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
	fleet   *Fleet
	name    string
	present atomic.Pointer[process] // nil while there is none
}

// process is one process of the program.
type process struct {
	*os.Process
	addr   string // host and port where it listens, or will
	health atomic.Int32
}

// What is known of a process's health.
const (
	down    int32 = iota // not listening, or silent
	unready              // answers, but cannot count visits now, or is stopping
	ready
)

// Name returns the name that the instance shows to visitors, such as "web.2".
func (in *Instance) Name() string { return in.name }

// Kill ends the present process at once (SIGKILL), and returns when it is gone. The fleet starts another one.
func (in *Instance) Kill() {
	if p := in.present.Load(); p != nil {
		_ = p.Kill() // fails only if it has ended
		_ = poll.Until(context.Background(), func() bool { return in.present.Load() != p })
	}
}

// Restart stops the present process with SIGTERM and returns when the next one answers; if the present one is ready, when
// the next one is, too. The balancer goes on sending requests meanwhile: the program must finish those that it has taken.
func (in *Instance) Restart(ctx context.Context) error {
	before, wanted := in.present.Load(), max(in.health(), unready)
	if before != nil {
		if err := child.Terminate(before.Process); err != nil {
			return fmt.Errorf("restart %s: %w", in.name, err)
		}
	}
	back := func() bool { return in.present.Load() != before && in.health() >= wanted }
	if err := poll.Until(ctx, back); err != nil {
		return fmt.Errorf("restart %s: it is not back: %w", in.name, err)
	}
	return nil
}

// health returns the health of the present process.
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

// probe keeps asking the process for its health until ctx ends.
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
