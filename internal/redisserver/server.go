// Package redisserver runs a real redis-server (or valkey-server) as a child process: on the loopback
// interface only, on a port of its own, and never for longer than the process that started it.
//
// The demo, the proofs and the tests use it alike; it imports nothing of the app. It is for a developer's
// machine: in production, Redis is somebody else's process.
package redisserver

import (
	"context"
	"errors"
	"fmt"
	"io"
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
	closeGrace   = 5 * time.Second // how long Close lets a server with a Dir write its data
)

// Options say how the server runs. The zero value is a server with a free port, no password and no
// persistence, in a temporary directory.
type Options struct {
	// Dir is where the data and the generated server.conf lie. It is created if needed, kept by Close, and
	// a server.conf in it is overwritten. Empty means a temporary directory that Close removes.
	Dir string
	// Port on 127.0.0.1. 0 means a free one, and another one if that is taken in the meantime.
	Port int
	// AppendOnly keeps every write in a file in Dir, so that data survives Kill and Restart. Without it the
	// server is empty after each start; it never writes snapshots.
	AppendOnly bool
	// Fsync is the appendfsync policy: "always", "everysec" or "no". Empty means "everysec".
	Fsync string
	// Password of the default user. It is written to server.conf (mode 0600), never to a command line.
	Password string
	// TLS, if not nil, makes the server speak only TLS.
	TLS *TLS
	// Config holds further lines of redis.conf; they win over the lines made from the fields above.
	Config []string
	// Args are command-line arguments after the configuration file, such as "--sentinel".
	Args []string
	// Stdout receives the server's log. Nil discards it; errors carry its last lines either way.
	Stdout io.Writer
}

// TLS names the PEM files of a server that speaks TLS. Clients need no certificate.
type TLS struct {
	CertFile, KeyFile string
	CAFile            string // may be empty
}

// find returns the path of redis-server, else of valkey-server, and whether there is one on PATH.
func find() (path string, ok bool) {
	for _, name := range []string{"redis-server", "valkey-server"} {
		if path, err := exec.LookPath(name); err == nil {
			return path, true
		}
	}
	return "", false
}

// Server is a redis-server that this process started. Its methods are safe for concurrent use. On Linux
// it ends when this process does, however that happens; elsewhere it needs Close.
type Server struct {
	opts    Options
	bin     string
	dir     string
	tempDir bool
	port    Port

	mu     sync.Mutex
	child  *child.Process
	closed bool
}

// Start runs a server and returns when it answers. ctx bounds the start only: the server runs until Stop,
// Kill or Close. The caller closes it. A server that cannot start is an error with the last lines of its log.
func Start(ctx context.Context, opts Options) (*Server, error) {
	bin, ok := find()
	if !ok {
		return nil, ErrNotInstalled
	}
	s := &Server{opts: opts, bin: bin, dir: opts.Dir}
	if err := s.makeDir(); err != nil {
		return nil, err
	}
	if err := s.startOnPort(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// makeDir creates the directory of the data and makes its path absolute.
func (s *Server) makeDir() (err error) {
	if s.dir == "" {
		s.tempDir = true
		s.dir, err = os.MkdirTemp("", "redisserver-")
		return err
	}
	if s.dir, err = filepath.Abs(s.dir); err != nil {
		return err
	}
	return os.MkdirAll(s.dir, 0o700)
}

// startOnPort starts the server on the port asked for, or on the first free one that is still free when
// the server binds it.
func (s *Server) startOnPort(ctx context.Context) (err error) {
	for range portAttempts {
		if s.port, err = choosePort(s.opts.Port); err != nil {
			return err
		}
		if err = s.writeConfig(); err != nil {
			return err
		}
		err = s.launch(ctx)
		if s.opts.Port != 0 || !errors.Is(err, errPortTaken) {
			return err
		}
		s.port.Release()
	}
	return err
}

// launch starts the process and waits until it answers; a process that does not is killed.
func (s *Server) launch(ctx context.Context) error {
	process, err := s.spawn()
	if err != nil {
		return err
	}
	if err := s.awaitReady(ctx, process); err != nil {
		process.Kill()
		return fmt.Errorf("%s on %s: %w; the end of its log:\n%s", filepath.Base(s.bin), s.Addr(), err, s.redact(process.Log()))
	}
	return nil
}

// spawn starts the process unless there is one.
func (s *Server) spawn() (*child.Process, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, ErrClosed
	}
	if s.child != nil && s.child.Running() {
		return nil, errors.New("redis-server is running already")
	}
	cmd := exec.Command(s.bin, append([]string{s.configFile()}, s.opts.Args...)...)
	cmd.Dir = s.dir
	process, err := child.Start(cmd, s.opts.Stdout)
	if err != nil {
		return nil, err
	}
	s.child = process
	return process, nil
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
func (s *Server) PID() int { return s.current().PID() }

// Running reports whether the process exists. A paused one does.
func (s *Server) Running() bool { return s.current().Running() }

// current returns the present or the last process.
func (s *Server) current() *child.Process {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.child
}

// Stop asks the server to shut down (SIGTERM), which makes it write what it has to, and waits until it is
// gone or ctx ends. A paused server is resumed. Stopping a server that is not running is no error.
func (s *Server) Stop(ctx context.Context) error {
	process := s.current()
	if err := process.Terminate(); err != nil {
		return fmt.Errorf("stop redis-server: %w", err)
	}
	if err := process.Resume(); err != nil {
		return fmt.Errorf("stop redis-server: %w", err)
	}
	select {
	case <-process.Done():
		return nil
	case <-ctx.Done():
		return fmt.Errorf("stop redis-server: %w", ctx.Err())
	}
}

// Kill ends the server at once (SIGKILL), paused or not, and returns when it is gone.
func (s *Server) Kill() { s.current().Kill() }

// Pause freezes the server (SIGSTOP): connections stay open and new ones are accepted by the kernel, but
// nothing is answered. Pausing a server that is not running is no error. Windows cannot do it.
func (s *Server) Pause() error { return s.current().Suspend() }

// Resume undoes Pause (SIGCONT).
func (s *Server) Resume() error { return s.current().Resume() }

// Restart stops the server if it runs and starts it again on the same port, with the same directory and
// with its server.conf as it is now. It returns when the server answers, its data loaded; ctx bounds that.
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
	process := s.child
	s.mu.Unlock()
	defer s.port.Release()
	if process != nil {
		if !s.tempDir {
			ctx, cancel := context.WithTimeout(context.Background(), closeGrace)
			defer cancel()
			_ = s.Stop(ctx) // what does not stop is killed
		}
		process.Kill()
	}
	if s.tempDir {
		return os.RemoveAll(s.dir)
	}
	return nil
}
