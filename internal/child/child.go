// Package child runs other programs as children of this process, which decides when they end: a terminal's Ctrl-C
// does not reach them, and on Linux they do not outlive it, however it ends.
package child

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"time"
)

// Process is one run of a program. Its methods are safe for concurrent use.
type Process struct {
	cmd  *exec.Cmd
	log  *logTail
	done chan struct{}
	err  error // how it ended; to be read after done
}

// Start starts cmd. What it writes goes to out, which may be nil, and its end is remembered. Each Process must be
// ended by its own doing or by [Process.Kill].
//
// Linux sends the parent-death signal when the *thread* that started the child ends. So the thread belongs to a
// goroutine that does nothing but start the child and wait for its end.
func Start(cmd *exec.Cmd, out io.Writer) (*Process, error) {
	p := &Process{cmd: cmd, log: &logTail{out: out}, done: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = p.log, p.log
	cmd.WaitDelay = time.Second // a child of the child may hold the log open a little longer
	detach(cmd)
	started := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer close(p.done)
		err := cmd.Start()
		started <- err
		if err == nil {
			p.err = cmd.Wait()
		}
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	return p, nil
}

// PID returns the process id, which the system may give to another process after the end of this one.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Done is closed when the process has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Err waits for the end of the process and returns nil if its status was 0, else what happened to it.
func (p *Process) Err() error {
	<-p.done
	return p.err
}

// Running reports whether the process has not ended yet. A suspended one has not.
func (p *Process) Running() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// Log returns the last lines that the process has written.
func (p *Process) Log() string { return p.log.String() }

// Terminate asks the process to end (SIGTERM); where there are no signals it kills. Like the other signals, it is
// no error if the process has ended.
func (p *Process) Terminate() error { return p.signal(terminate) }

// Suspend freezes the process (SIGSTOP). Windows cannot do that.
func (p *Process) Suspend() error { return p.signal(suspend) }

// Resume undoes Suspend (SIGCONT).
func (p *Process) Resume() error { return p.signal(resume) }

func (p *Process) signal(send func(*os.Process) error) error {
	if err := send(p.cmd.Process); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	return nil
}

// Kill ends the process at once (SIGKILL) and returns when it is gone.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill() // fails only if the process has ended
	<-p.done
}

const (
	tailBytes = 4096
	tailLines = 12
)

// logTail passes a log on and remembers its end.
type logTail struct {
	out io.Writer // may be nil

	mu  sync.Mutex
	end []byte
}

// Write never fails: a log that nobody can read must not stop the process.
func (l *logTail) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.end = append(l.end, b...)
	if over := len(l.end) - tailBytes; over > 0 {
		l.end = append(l.end[:0], l.end[over:]...)
	}
	if l.out != nil {
		_, _ = l.out.Write(b)
	}
	return len(b), nil
}

// String returns the last lines.
func (l *logTail) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	lines := bytes.Split(bytes.TrimSpace(l.end), []byte("\n"))
	return string(bytes.Join(lines[max(0, len(lines)-tailLines):], []byte("\n")))
}
