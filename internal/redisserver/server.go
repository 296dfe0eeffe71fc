// Package redisserver runs a real redis-server (or valkey-server) as a child process, for demos, proofs and tests. The server
// listens only on the loopback interface, and on Linux and macOS it never outlives the process that started it.
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
	stopTimeout = 5 * time.Second // until Stop kills the server
	quotedLog   = 2000            // maximum bytes of the log in an error
)

// Server is a redis-server that this process started. Its methods are safe for concurrent use. On Linux and macOS the server
// ends when this process does, however that happens; elsewhere the caller must call Close.
type Server struct {
	opts Options
	dir  string // a temporary directory for the data, the log and the configuration
	port Port

	mu      sync.Mutex
	process *process // the current or last one
}

// process is one run of redis-server.
type process struct {
	*exec.Cmd
	stop context.CancelFunc // asks the process to end
	done chan struct{}      // closed when the process has ended
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

// Start starts a server and returns when it accepts commands. ctx limits only the start. The caller closes the server. If it
// cannot start, the error includes the end of its log.
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

// launch starts a process and waits until it accepts commands. It kills the process if that fails.
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

// ready reports whether a log says that the server has loaded its data and accepts commands. Asking the server itself would
// need its password, and might ask another server at the same address.
func ready(log string) bool {
	return strings.Contains(log, "Ready to accept connections") || strings.Contains(log, "Sentinel ID is") // with --sentinel
}

// spawn starts a process, or returns an error if one is running.
func (s *Server) spawn() (*process, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.process != nil && s.process.running() {
		return nil, errors.New("redis-server is already running")
	}
	program, err := Program()
	if err != nil {
		return nil, err
	}
	log, err := os.Create(s.logFile())
	if err != nil {
		return nil, err
	}
	defer func() { _ = log.Close() }() // the process has its own descriptor
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
		_ = p.Wait() // the log says how it ended
		stop()
	}()
	s.process = p
	return p, nil
}

func (s *Server) logFile() string { return filepath.Join(s.dir, "redis.log") }

// log returns the log of the current or last process, without the password.
func (s *Server) log() string {
	text, _ := os.ReadFile(s.logFile()) // if there is no log, there is nothing to quote
	return s.redact(strings.TrimSpace(string(text)))
}

// Addr returns the server's host and port, which Restart does not change.
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

// PID returns the process id of the current process, or of the last one if none runs.
func (s *Server) PID() int { return s.current().Process.Pid }

// Running reports whether the process exists, which a paused one does.
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
	_ = p.Process.Kill() // fails only if the process has ended
	<-p.done
}

// Stop asks the server to shut down (SIGTERM), so that it writes its data first, kills it after 5 seconds, and returns when
// it is gone. A paused server is resumed. Stop does nothing if the server does not run.
func (s *Server) Stop() {
	p := s.current()
	p.stop()
	_ = child.Resume(p.Process) // if that fails, the server is killed
	<-p.done
}

// Kill kills the server (SIGKILL), even if it is paused, and returns when it is gone.
func (s *Server) Kill() { s.current().kill() }

// Pause freezes the server (SIGSTOP): connections stay open and the kernel accepts new ones, but the server does not answer.
// Pause returns nil if the server does not run. It works on Linux and macOS only.
func (s *Server) Pause() error { return child.Suspend(s.current().Process) }

// Resume undoes Pause (SIGCONT).
func (s *Server) Resume() error { return child.Resume(s.current().Process) }

// Restart stops the server if it runs, and starts it again on the same port, with the same configuration and, given
// AppendOnly, the same data. It returns when the server has loaded its data and accepts commands. ctx limits only that wait.
func (s *Server) Restart(ctx context.Context) error {
	s.Stop()
	return s.launch(ctx)
}

// Close kills the server and removes its data. Closing it again does nothing. The server cannot be restarted after Close.
func (s *Server) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.process != nil {
		s.process.kill()
	}
	s.port.Release()
	return os.RemoveAll(s.dir) // without the directory, no process can start again
}
