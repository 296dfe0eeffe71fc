package fleet

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"time"

	"visit-counter/internal/child"
	"visit-counter/internal/redisserver"
)

const (
	probeStarting = 25 * time.Millisecond  // how often a process that does not answer yet is asked
	probeRunning  = 250 * time.Millisecond // how often one that does is asked
	probeTime     = 2 * time.Second        // an answer may take: longer than the instance's own limit for Redis
	mostSilent    = 3                      // answers that may be missing before an instance is down

	shortLife  = 2 * time.Second // a process that ends sooner may do so for ever
	firstPause = 250 * time.Millisecond
	mostPause  = 8 * time.Second
	lastHope   = 3 // short lives without an answer before the start of the fleet fails
)

// Instance is one place in the fleet, and the process that fills it at present.
type Instance struct {
	fleet  *Fleet
	member *member
	out    io.Writer

	mu       sync.Mutex
	process  *child.Process // the present or the last one, nil before the first
	answered bool           // some process here has answered
}

// Name returns the name that the instance shows to visitors, such as "web.2".
func (in *Instance) Name() string { return in.member.name }

// Kill ends the present process at once (SIGKILL). It is started again by itself.
func (in *Instance) Kill() {
	if p := in.current(); p != nil {
		p.Kill()
	}
}

// Restart stops the present process with SIGTERM and returns when the next one answers; if the present one is ready, when
// the next one is, too. The balancer goes on sending requests meanwhile: to finish those it has taken is up to the program.
func (in *Instance) Restart(ctx context.Context) error {
	b := in.fleet.balancer
	before, wanted := b.state(in.member)
	if p := in.current(); p != nil {
		if err := p.Terminate(); err != nil {
			return fmt.Errorf("restart %s: %w", in.Name(), err)
		}
	}
	back := func() bool {
		addr, h := b.state(in.member)
		return addr != before && h >= max(wanted, unready)
	}
	if err := b.await(ctx, back); err != nil {
		return fmt.Errorf("restart %s: it is not back: %w", in.Name(), err)
	}
	return nil
}

func (in *Instance) current() *child.Process {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.process
}

// supervise keeps the instance running until ctx ends, and then stops it.
func (in *Instance) supervise(ctx context.Context) {
	var pauses backoff
	for {
		began := time.Now()
		err := in.run(ctx)
		if ctx.Err() != nil {
			return
		}
		pause := pauses.next(time.Since(began))
		in.fleet.say("%s: %s", in.Name(), epitaph(err, pause))
		if pauses.short >= lastHope && !in.hasAnswered() {
			in.giveUp(err)
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return
		}
	}
}

// backoff decides how long to wait before a process that has ended is started again.
type backoff struct {
	short int // short lives in a row
}

// next returns the pause after a process that lived that long: none, unless several short lives came in a row.
func (b *backoff) next(lived time.Duration) time.Duration {
	if lived >= shortLife {
		b.short = 0
		return 0
	}
	b.short++
	if b.short == 1 {
		return 0
	}
	return min(firstPause<<min(b.short-2, 10), mostPause)
}

func epitaph(err error, pause time.Duration) string {
	how, when := "the process has stopped", "now"
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		how = "the process has ended (" + exit.Error() + ")"
	case err != nil:
		how = "the process could not be run (" + err.Error() + ")"
	}
	if pause > 0 {
		when = "in " + pause.String()
	}
	return how + "; starting it again " + when
}

// giveUp reports why the instance does not start, if somebody still waits for that.
func (in *Instance) giveUp(err error) {
	var log string
	if p := in.current(); p != nil {
		log = p.Log()
	}
	select {
	case in.fleet.hopeless <- fmt.Errorf("%s: %w; the end of its log:\n%s", in.Name(), err, log):
	default:
	}
}

func (in *Instance) hasAnswered() bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.answered
}

// run starts a process and waits for its end, which it brings about when ctx ends.
func (in *Instance) run(ctx context.Context) error {
	port, err := redisserver.ReservePort()
	if err != nil {
		return err
	}
	defer port.Release()
	process, err := child.Start(in.command(port.Number), in.out)
	if err != nil {
		return err
	}
	f := in.fleet
	f.janitor.tell(started, process.PID())
	defer f.janitor.tell(ended, process.PID())
	in.mu.Lock()
	in.process = process
	in.mu.Unlock()

	addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(port.Number))
	f.balancer.move(in.member, addr)
	defer f.balancer.move(in.member, "")
	var probing sync.WaitGroup
	defer probing.Wait()
	probes, stopProbes := context.WithCancel(ctx)
	defer stopProbes()
	probing.Go(func() { in.probe(probes, addr) })

	select {
	case <-process.Done():
	case <-ctx.Done():
		end(process)
	}
	return process.Err()
}

// end stops a process in order if it can be done.
func end(p *child.Process) {
	if p.Terminate() == nil {
		select {
		case <-p.Done():
			return
		case <-time.After(stopTime):
		}
	}
	p.Kill()
}

// command is the program with the environment of one instance, and nothing else of this process's environment.
func (in *Instance) command(port int) *exec.Cmd {
	f := in.fleet
	cmd := exec.Command(f.opts.Program)
	cmd.Dir = f.workDir
	cmd.Env = append([]string{
		"PORT=" + strconv.Itoa(port),
		"INSTANCE=" + in.Name(),
		"DEMO_CONTROLS=true",
		"TRUSTED_PROXIES=127.0.0.0/8",
	}, f.redis.variables()...)
	cmd.Env = append(cmd.Env, f.opts.Environment...)
	for _, name := range []string{"SYSTEMROOT", "TMPDIR", "TZ"} { // what the system itself needs
		if value, ok := os.LookupEnv(name); ok {
			cmd.Env = append(cmd.Env, name+"="+value)
		}
	}
	return cmd
}

// probe asks the process how it is, and tells the balancer, until ctx ends.
func (in *Instance) probe(ctx context.Context, addr string) {
	client := &http.Client{Timeout: probeTime, Transport: &http.Transport{DisableKeepAlives: true}}
	timer := time.NewTimer(probeStarting)
	defer timer.Stop()
	silent := 0
	for {
		select {
		case <-timer.C:
		case <-ctx.Done():
			return
		}
		h, err := ask(ctx, client, addr)
		if silent++; err == nil {
			silent = 0
			in.mu.Lock()
			in.answered = true
			in.mu.Unlock()
		}
		if err == nil || undelivered(err) || silent >= mostSilent {
			in.fleet.balancer.report(in.member, addr, h)
		}
		if h == down {
			timer.Reset(probeStarting)
		} else {
			timer.Reset(probeRunning)
		}
	}
}

// ask returns an instance's health by its own words.
func ask(ctx context.Context, client *http.Client, addr string) (health, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+"/readyz", nil)
	if err != nil {
		return down, err
	}
	answer, err := client.Do(r)
	if err != nil {
		return down, err
	}
	defer answer.Body.Close()
	if answer.StatusCode == http.StatusOK {
		return ready, nil
	}
	return unready, nil
}
