package redisserver

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"time"
)

// process is one run of the program.
type process struct {
	cmd  *exec.Cmd
	log  *logTail
	done chan struct{} // closed when the process has ended and was reaped
	err  error         // how it ended; to be read after done
}

// startProcess starts cmd, its output going to out and to the tail that errors quote.
//
// Linux sends the parent-death signal when the *thread* that started the child ends. So the thread belongs
// to a goroutine that does nothing but start the child and wait for its end.
func startProcess(cmd *exec.Cmd, out io.Writer) (*process, error) {
	p := &process{cmd: cmd, log: &logTail{out: out}, done: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = p.log, p.log
	cmd.WaitDelay = time.Second // a forked child that writes a file may hold the log open a little longer
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

func (p *process) running() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// signal sends a signal unless the process has ended already.
func (p *process) signal(send func(*os.Process) error) error {
	if err := send(p.cmd.Process); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	return nil
}

// kill ends the process and waits until it is gone.
func (p *process) kill() {
	_ = p.cmd.Process.Kill() // fails only if the process has ended
	<-p.done
}

// ending says how the process ended. Call it after done.
func (p *process) ending() error {
	if strings.Contains(p.log.String(), "ddress already in use") {
		return errPortTaken
	}
	if p.err != nil {
		return fmt.Errorf("ended: %w", p.err)
	}
	return errors.New("ended with status 0")
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

// Write never fails: a log that nobody can read must not stop the server.
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
