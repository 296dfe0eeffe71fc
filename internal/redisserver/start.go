package redisserver

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/alicebob/miniredis/v2/proto"
)

const (
	pollInterval = 10 * time.Millisecond
	askTimeout   = 500 * time.Millisecond // for one attempt to reach the server
)

// configFile is the generated configuration. It is a file, not arguments, because the password must not be
// seen by ps and because Sentinel and CONFIG REWRITE write to it.
func (s *Server) configFile() string { return filepath.Join(s.dir, "server.conf") }

// writeConfig writes the configuration for the present port.
func (s *Server) writeConfig() error {
	o := s.opts
	lines := []string{"bind 127.0.0.1", "dir " + quote(s.dir), `save ""`}
	if o.TLS == nil {
		lines = append(lines, fmt.Sprintf("port %d", s.port.Number))
	} else {
		lines = append(lines, "port 0", fmt.Sprintf("tls-port %d", s.port.Number), "tls-auth-clients no",
			"tls-cert-file "+quote(o.TLS.CertFile), "tls-key-file "+quote(o.TLS.KeyFile))
		if o.TLS.CAFile != "" {
			lines = append(lines, "tls-ca-cert-file "+quote(o.TLS.CAFile))
		}
	}
	if o.AppendOnly {
		lines = append(lines, "appendonly yes")
	}
	if o.Fsync != "" {
		lines = append(lines, "appendfsync "+quote(o.Fsync))
	}
	if o.Password != "" {
		lines = append(lines, "requirepass "+quote(o.Password))
	}
	lines = append(lines, o.Config...)
	return os.WriteFile(s.configFile(), []byte(strings.Join(lines, "\n")+"\n"), 0o600)
}

// quote writes s in the one way in which redis.conf reads any bytes.
func quote(s string) string {
	var b strings.Builder
	for i := range len(s) {
		fmt.Fprintf(&b, `\x%02x`, s[i])
	}
	return `"` + b.String() + `"`
}

// redact removes the password from text, as it is and as server.conf spells it.
func (s *Server) redact(text string) string {
	if s.opts.Password == "" {
		return text
	}
	return strings.NewReplacer(quote(s.opts.Password), "***", s.opts.Password, "***").Replace(text)
}

// awaitReady returns nil once the process answers, and an error if it ends, if somebody else answers in its
// place, or if ctx ends first.
func (s *Server) awaitReady(ctx context.Context, p *process) error {
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for {
		if ctx.Err() != nil {
			return fmt.Errorf("not ready: %w", ctx.Err())
		}
		if ready, err := s.ask(ctx, p); ready || err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-p.done:
			if strings.Contains(s.log(), "ddress already in use") {
				return errPortTaken
			}
			return fmt.Errorf("ended: %v", p.cmd.ProcessState)
		case <-ctx.Done():
		}
	}
}

// ask reports whether the process answers commands, its data loaded. A refused login is an answer. A client of go-redis
// would log each failed try.
func (s *Server) ask(ctx context.Context, p *process) (ready bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	conn, err := s.dial(ctx)
	if err != nil {
		return false, nil
	}
	client := proto.NewClient(conn)
	defer func() { _ = client.Close() }()
	_ = conn.SetDeadline(time.Now().Add(askTimeout)) // fails only on a closed connection
	if s.opts.Password != "" {
		if answer, err := client.Do("AUTH", s.opts.Password); err != nil || answer != proto.Inline("OK") {
			return refused(answer), nil
		}
	}
	info, err := client.Do("INFO")
	switch {
	case err != nil || strings.HasPrefix(info, "-"):
		return refused(info), nil
	case !strings.Contains(info, fmt.Sprintf("\r\nprocess_id:%d\r\n", p.cmd.Process.Pid)):
		return false, errPortTaken
	}
	return !strings.Contains(info, "\r\nloading:1\r\n"), nil
}

func (s *Server) dial(ctx context.Context) (net.Conn, error) {
	if s.opts.TLS == nil {
		return new(net.Dialer).DialContext(ctx, "tcp", s.Addr())
	}
	// Who answers is checked by the process id; the certificate may be wrong on purpose.
	return (&tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true}}).DialContext(ctx, "tcp", s.Addr())
}

// refused reports whether the answer is that of a server which is up but does not let us in.
func refused(answer string) bool {
	code, _, _ := strings.Cut(answer, " ")
	return code == "-NOAUTH" || code == "-WRONGPASS" || code == "-NOPERM"
}
