package fleet

import (
	"bufio"
	"context"
	"errors"
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
	"visit-counter/internal/redisserver"
)

const (
	probeStarting = 25 * time.Millisecond  // how often a process that does not answer yet is asked
	probeRunning  = 250 * time.Millisecond // how often one that does is asked
	probeTimeout  = 8 * time.Second        // for an answer: longer than the instance's own limit for Redis

	shortLife       = 2 * time.Second // a process that ends sooner may do so for ever
	firstPause      = 250 * time.Millisecond
	maxPause        = 8 * time.Second
	maxFailedStarts = 3 // processes that end without an answer before the start of the fleet fails

	maxLine   = 16 << 10 // bytes; a longer line of an instance becomes several
	lastLines = 12       // of an instance's log, for the error if it does not start
)

// Instance is one place in the fleet, and the process that fills it at present.
type Instance struct {
	fleet  *Fleet
	member *member

	mu       sync.Mutex
	process  *os.Process // the present or the last one, nil before the first
	answered bool        // some process here has answered
}

// Name returns the name that the instance shows to visitors, such as "web.2".
func (in *Instance) Name() string { return in.member.name }

// Kill ends the present process at once (SIGKILL). It is started again by itself.
func (in *Instance) Kill() { _ = in.signal((*os.Process).Kill) }

// Restart stops the present process with SIGTERM and returns when the next one answers; if the present one is ready, when
// the next one is, too. The balancer goes on sending requests meanwhile: to finish those it has taken is up to the program.
func (in *Instance) Restart(ctx context.Context) error {
	b := in.fleet.balancer
	before, wanted := b.state(in.member)
	if err := in.signal(child.Terminate); err != nil {
		return fmt.Errorf("restart %s: %w", in.Name(), err)
	}
	back := func() bool {
		addr, h := b.state(in.member)
		return addr != before && h >= max(wanted, unready)
	}
	if err := await(ctx, back); err != nil {
		return fmt.Errorf("restart %s: it is not back: %w", in.Name(), err)
	}
	return nil
}

// signal sends something to the present process. It is no error if that has ended.
func (in *Instance) signal(send func(*os.Process) error) error {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.process == nil {
		return nil
	}
	if err := send(in.process); !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	return nil
}

// supervise keeps the instance running until ctx ends, and then stops it.
func (in *Instance) supervise(ctx context.Context) {
	short := 0 // lives in a row
	for {
		began := time.Now()
		log, err := in.run(ctx)
		if ctx.Err() != nil {
			return
		}
		if short++; time.Since(began) >= shortLife {
			short = 0
		}
		pause := pauseAfter(short)
		in.fleet.say("%s: %s; starting it again %s", in.Name(), exitReason(err), inWords(pause))
		if short >= maxFailedStarts && !in.hasAnswered() {
			in.fleet.startFailed(fmt.Errorf("%s: %w; the end of its log:\n%s", in.Name(), err, log))
		}
		wait(ctx, pause)
	}
}

// pauseAfter returns how long to wait before a process is started again after so many short lives in a row: the first one
// may be an accident.
func pauseAfter(short int) time.Duration {
	if short < 2 {
		return 0
	}
	return min(firstPause<<min(short-2, 10), maxPause)
}

func inWords(pause time.Duration) string {
	if pause == 0 {
		return "now"
	}
	return "in " + pause.String()
}

func exitReason(err error) string {
	var exit *exec.ExitError
	switch {
	case err == nil:
		return "the process has stopped"
	case errors.As(err, &exit):
		return "the process has ended (" + exit.Error() + ")"
	}
	return "the process could not be run (" + err.Error() + ")"
}

func (in *Instance) hasAnswered() bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.answered
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
	in.fleet.balancer.move(in.member, addr)
	defer in.fleet.balancer.move(in.member, "")

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

// passOn passes a log on, line by line, and returns the last of them.
func (in *Instance) passOn(log io.Reader) string {
	var last []string
	for r := bufio.NewReaderSize(log, maxLine); ; {
		line, _, err := r.ReadLine()
		if err != nil {
			return strings.Join(last, "\n")
		}
		in.fleet.opts.Log(in.Name(), string(line))
		last = append(last, string(line))
		last = last[max(0, len(last)-lastLines):]
	}
}

// environment is that of one instance, and nothing else of this process's environment than what the system needs.
func (in *Instance) environment(port int) []string {
	f := in.fleet
	env := append([]string{
		"PORT=" + strconv.Itoa(port),
		"INSTANCE=" + in.Name(),
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

// probe asks the process how it is, and tells the balancer, until ctx ends.
func (in *Instance) probe(ctx context.Context, addr string) {
	client := &http.Client{Timeout: probeTimeout, Transport: &http.Transport{DisableKeepAlives: true}}
	for ctx.Err() == nil {
		h := ask(ctx, client, addr)
		in.fleet.balancer.report(in.member, addr, h)
		if h == down {
			wait(ctx, probeStarting)
			continue
		}
		in.mu.Lock()
		in.answered = true
		in.mu.Unlock()
		wait(ctx, probeRunning)
	}
}

// ask returns an instance's health by its own words.
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
