// Package redisserver runs a real redis-server (or valkey-server) as a child process, for demos, proofs and tests: on the
// loopback interface only, and never for longer than the process that started it.
package redisserver

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"visit-counter/internal/child"
	"visit-counter/internal/poll"
)

// ErrNotInstalled reports that neither redis-server nor valkey-server is on PATH.
var ErrNotInstalled = errors.New("redis-server is not installed (apt-get install redis-server, or brew install redis)")

const (
	stopTimeout = 5 * time.Second // for a server that was asked to stop; then it is killed
	quotedLog   = 2000            // bytes of the log at most in an error
)

// Server is a redis-server that this process started. Its methods are safe for concurrent use. On Linux and macOS it ends
// when this process does, however that happens; elsewhere it needs Close.
type Server struct {
	opts Options
	dir  string // temporary: it holds the data, the log and the configuration
	port Port

	mu      sync.Mutex
	process *process // the present or the last one
}

// process is one run of redis-server.
type process struct {
	*exec.Cmd
	stop context.CancelFunc // asks it to end
	done chan struct{}      // closed when it has ended
}

// Program returns the path of redis-server, else of valkey-server, or [ErrNotInstalled] if neither is on PATH.
func Program() (path string, err error) {
	for _, name := range []string{"redis-server", "valkey-server"} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", ErrNotInstalled
}

// Start runs a server and returns when it answers. ctx bounds the start only. The caller closes the server. If it cannot
// start, the error has the last lines of its log.
func Start(ctx context.Context, opts Options) (*Server, error) {
	port, err := ReservePort()
	if err != nil {
		return nil, err
	}
	s := &Server{opts: opts, port: port}
	if s.dir, err = child.TempDir(); err == nil {
		err = s.writeConfig()
	}
	if err == nil {
		err = s.launch(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// launch starts a process and waits until it answers. A process that does not is killed.
func (s *Server) launch(ctx context.Context) error {
	p, err := s.spawn()
	if err != nil {
		return err
	}
	err = poll.Until(ctx, func() bool { return !p.running() || ready(s.log()) })
	if err == nil && !p.running() {
		err = fmt.Errorf("ended: %v", p.ProcessState)
	}
	if err != nil {
		p.kill()
		log := s.log()
		return fmt.Errorf("redis-server on %s: %w; the end of its log:\n%s", s.Addr(), err, log[max(0, len(log)-quotedLog):])
	}
	return nil
}

// ready reports whether a log says that the server takes commands, its data loaded. Asking the server itself would need its
// password, and could ask another one at the same address.
func ready(log string) bool {
	return strings.Contains(log, "Ready to accept connections") || strings.Contains(log, "Sentinel ID is") // with --sentinel
}

// spawn starts a process unless one is running.
func (s *Server) spawn() (*process, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.process != nil && s.process.running() {
		return nil, errors.New("redis-server is running already")
	}
	program, err := Program()
	if err != nil {
		return nil, err
	}
	log, err := os.Create(s.logFile())
	if err != nil {
		return nil, err
	}
	defer func() { _ = log.Close() }() // the process has a copy
	ctx, stop := context.WithCancel(context.Background())
	cmd, err := child.Command(ctx, stopTimeout, program, append([]string{s.configFile()}, s.opts.Args...)...)
	if err == nil {
		cmd.Dir, cmd.Stdout, cmd.Stderr = s.dir, log, log
		err = cmd.Start()
	}
	if err != nil {
		stop()
		return nil, err
	}
	p := &process{cmd, stop, make(chan struct{})}
	go func() {
		defer close(p.done)
		_ = p.Wait() // how it ended is in its log
		stop()
	}()
	s.process = p
	return p, nil
}

func (s *Server) logFile() string { return filepath.Join(s.dir, "redis.log") }

// log returns what the present or last process has logged, without the password.
func (s *Server) log() string {
	text, _ := os.ReadFile(s.logFile()) // without a log there is nothing to quote
	return s.redact(strings.TrimSpace(string(text)))
}

// Addr returns the server's host and port. It stays the same over Restart.
func (s *Server) Addr() string { return s.port.Addr() }

// URL returns the address as a redis:// or rediss:// URL. It contains the password: do not log it.
func (s *Server) URL() string {
	u := url.URL{Scheme: "redis", Host: s.Addr()}
	if s.opts.TLS != nil {
		u.Scheme = "rediss"
	}
	if s.opts.Password != "" {
		u.User = url.UserPassword("", s.opts.Password)
	}
	return u.String()
}

// PID returns the process id of the present or, if none runs, of the last process.
func (s *Server) PID() int { return s.current().Process.Pid }

// Running reports whether the process exists. A paused one does.
func (s *Server) Running() bool { return s.current().running() }

func (s *Server) current() *process {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.process
}

func (p *process) running() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

func (p *process) kill() {
	_ = p.Process.Kill() // fails only if it has ended
	<-p.done
}

// Stop asks the server to shut down (SIGTERM), which makes it write what it has to, and returns when it is gone, or was
// killed after 5 seconds. A paused server is resumed. A server that does not run is left alone.
func (s *Server) Stop() {
	p := s.current()
	p.stop()
	_ = child.Resume(p.Process) // if that fails, it is killed
	<-p.done
}

// Kill ends the server at once (SIGKILL), paused or not, and returns when it is gone.
func (s *Server) Kill() { s.current().kill() }

// Pause freezes the server (SIGSTOP): connections stay open and the kernel accepts new ones, but nothing is answered.
// Pausing a server that is not running is no error. Windows cannot do it.
func (s *Server) Pause() error { return child.Suspend(s.current().Process) }

// Resume undoes Pause (SIGCONT).
func (s *Server) Resume() error { return child.Resume(s.current().Process) }

// Restart stops the server if it runs and starts it again on the same port, with the same data and configuration. It
// returns when the server answers, its data loaded; ctx bounds that.
func (s *Server) Restart(ctx context.Context) error {
	s.Stop()
	return s.launch(ctx)
}

// Close kills the server and removes its data. Closing twice is no error; nothing else works after Close.
func (s *Server) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.process != nil {
		s.process.kill()
	}
	s.port.Release()
	return os.RemoveAll(s.dir) // without it, no process can be started
}
