// Package redisserver runs a real redis-server (or valkey-server) as a child process: on the loopback
// interface only, on a port of its own, and never for longer than the process that started it.
//
// The demo, the proofs and the tests use it alike; it imports nothing of the app. It is for a developer's
// machine: in production, Redis is somebody else's process.
package redisserver

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"visit-counter/internal/child"
)

// ErrNotInstalled reports that neither redis-server nor valkey-server is on PATH.
var ErrNotInstalled = errors.New("redis-server is not installed (apt-get install redis-server, or brew install redis)")

// ErrClosed reports that the server was closed and cannot be used again.
var ErrClosed = errors.New("redis-server is closed")

// errPortTaken reports that somebody else listens on the port.
var errPortTaken = errors.New("the port is taken")

const (
	portAttempts = 10              // how many free ports Start tries before it gives up
	stopTimeout  = 5 * time.Second // for a server that was asked to stop; then it is killed
	quotedLog    = 2000            // bytes of the log at most in an error
)

// Options say how the server runs. The zero value is a server without a password and without persistence, in a
// temporary directory.
type Options struct {
	// Dir is where the data, the log and the generated server.conf lie. It is created if needed, and kept by Close.
	// Empty means a temporary directory that Close removes.
	Dir string
	// AppendOnly keeps writes in a file in Dir, which survives Kill and Restart. Without it the server is empty after
	// each start; it never writes snapshots.
	AppendOnly bool
	// Fsync is the appendfsync policy. With "always" and "no", a write is in the file before it is answered, so that
	// Kill loses none. With "everysec", which is the default, Redis holds writes back while an fsync is under way, for up
	// to two seconds, and Kill loses them.
	Fsync string
	// Password of the default user. It is written to server.conf (mode 0600), never to a command line.
	Password string
	// TLS, if not nil, makes the server speak only TLS.
	TLS *TLS
	// Config holds further lines of redis.conf; they win over the lines made from the fields above.
	Config []string
	// Args are command-line arguments after the configuration file, such as "--sentinel".
	Args []string
}

// TLS names the PEM files of a server that speaks TLS. Clients need no certificate.
type TLS struct {
	CertFile, KeyFile string
	CAFile            string // may be empty
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

// Server is a redis-server that this process started. Its methods are safe for concurrent use. On Linux and macOS it ends
// when this process does, however that happens; elsewhere it needs Close.
type Server struct {
	opts    Options
	program string
	dir     string
	port    Port

	mu      sync.Mutex
	process *process
	closed  bool
}

// process is one run of redis-server.
type process struct {
	cmd  *exec.Cmd
	stop context.CancelFunc // asks it to end, and kills it after stopTimeout
	done chan struct{}      // closed when it has ended
}

func (p *process) running() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// Start runs a server and returns when it answers. ctx bounds the start only: the server runs until Stop,
// Kill or Close. The caller closes it. A server that cannot start is an error with the last lines of its log.
func Start(ctx context.Context, opts Options) (*Server, error) {
	program, err := Program()
	if err != nil {
		return nil, err
	}
	s := &Server{opts: opts, program: program}
	if err := s.makeDir(); err != nil {
		return nil, err
	}
	for range portAttempts {
		if s.port, err = ReservePort(); err != nil {
			break
		}
		if err = s.writeConfig(); err == nil {
			err = s.launch(ctx)
		}
		if !errors.Is(err, errPortTaken) {
			break
		}
		s.port.Release()
	}
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// makeDir creates the directory of the data and makes its path absolute.
func (s *Server) makeDir() (err error) {
	if s.opts.Dir == "" {
		s.dir, err = child.TempDir()
		return err
	}
	if s.dir, err = filepath.Abs(s.opts.Dir); err != nil {
		return err
	}
	return os.MkdirAll(s.dir, 0o700)
}

// launch starts the process and waits until it answers; a process that does not is killed.
func (s *Server) launch(ctx context.Context) error {
	p, err := s.spawn()
	if err != nil {
		return err
	}
	if err := s.awaitReady(ctx, p); err != nil {
		kill(p)
		return fmt.Errorf("%s on %s: %w; the end of its log:\n%s", filepath.Base(s.program), s.Addr(), err, s.log())
	}
	return nil
}

// spawn starts the process unless there is one.
func (s *Server) spawn() (*process, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, ErrClosed
	}
	if s.process != nil && s.process.running() {
		return nil, errors.New("redis-server is running already")
	}
	log, err := os.Create(s.logFile())
	if err != nil {
		return nil, err
	}
	defer func() { _ = log.Close() }() // the server has a copy
	ctx, stop := context.WithCancel(context.Background())
	cmd, err := child.Command(ctx, stopTimeout, s.program, append([]string{s.configFile()}, s.opts.Args...)...)
	if err == nil {
		cmd.Dir, cmd.Stdout, cmd.Stderr = s.dir, log, log
		err = cmd.Start()
	}
	if err != nil {
		stop()
		return nil, err
	}
	p := &process{cmd: cmd, stop: stop, done: make(chan struct{})}
	go func() {
		defer close(p.done)
		_ = cmd.Wait() // how it ended is in its log
	}()
	s.process = p
	return p, nil
}

func (s *Server) logFile() string { return filepath.Join(s.dir, "redis.log") }

// log returns the end of what the present or last process has logged, without the password.
func (s *Server) log() string {
	text, err := os.ReadFile(s.logFile())
	if err != nil {
		return ""
	}
	text = bytes.TrimSpace(text)
	return s.redact(string(text[max(0, len(text)-quotedLog):]))
}

// Addr returns the server's host and port. It stays the same over Restart.
func (s *Server) Addr() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port.Number)) }

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

// Dir returns the absolute path of the directory that holds the server's data.
func (s *Server) Dir() string { return s.dir }

// PID returns the process id of the present or, if none runs, of the last process.
func (s *Server) PID() int { return s.current().cmd.Process.Pid }

// Running reports whether the process exists. A paused one does.
func (s *Server) Running() bool { return s.current().running() }

// current returns the present or the last process.
func (s *Server) current() *process {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.process
}

// Stop asks the server to shut down (SIGTERM), which makes it write what it has to, and waits until it is
// gone or ctx ends; one that is not gone after 5 seconds is killed. A paused server is resumed. Stopping a server that is
// not running is no error.
func (s *Server) Stop(ctx context.Context) error {
	p := s.current()
	p.stop()
	if err := signal(p, child.Resume); err != nil {
		return fmt.Errorf("stop redis-server: %w", err)
	}
	select {
	case <-p.done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("stop redis-server: %w", ctx.Err())
	}
}

// Kill ends the server at once (SIGKILL), paused or not, and returns when it is gone.
func (s *Server) Kill() { kill(s.current()) }

func kill(p *process) {
	_ = p.cmd.Process.Kill() // fails only if it has ended
	<-p.done
	p.stop() // there is nothing to stop: this frees the context
}

// Pause freezes the server (SIGSTOP): connections stay open and new ones are accepted by the kernel, but
// nothing is answered. Pausing a server that is not running is no error. Windows cannot do it.
func (s *Server) Pause() error { return signal(s.current(), child.Suspend) }

// Resume undoes Pause (SIGCONT).
func (s *Server) Resume() error { return signal(s.current(), child.Resume) }

func signal(p *process, send func(*os.Process) error) error {
	if err := send(p.cmd.Process); !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	return nil
}

// Restart stops the server if it runs and starts it again on the same port, with the same directory and
// server.conf as it is now. It returns when the server answers, its data loaded; ctx bounds that.
func (s *Server) Restart(ctx context.Context) error {
	if err := s.Stop(ctx); err != nil {
		return err
	}
	return s.launch(ctx)
}

// Close ends the server and removes its temporary directory. A server that was given a Dir gets a few
// seconds to write its data. Closing twice is no error; nothing else works after Close.
func (s *Server) Close() error {
	s.mu.Lock()
	s.closed = true
	p := s.process
	s.mu.Unlock()
	defer s.port.Release()
	if p != nil {
		if s.opts.Dir != "" {
			_ = s.Stop(context.Background()) // what does not stop is killed
		}
		kill(p)
	}
	if s.opts.Dir == "" {
		return os.RemoveAll(s.dir)
	}
	return nil
}
