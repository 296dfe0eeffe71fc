package redisserver

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/alicebob/miniredis/v2/proto"

	"visit-counter/internal/poll"
)

const askTimeout = 500 * time.Millisecond // for one attempt to reach the server

// awaitReady returns nil once the process answers, and an error if it or ctx ends first.
func (s *Server) awaitReady(ctx context.Context, p *process) error {
	err := poll.Until(ctx, func() bool { return !p.running() || s.ready(ctx, p) })
	if err == nil && !p.running() {
		err = fmt.Errorf("ended: %v", p.ProcessState)
	}
	return err
}

// ready reports whether this very process answers commands, its data loaded. A refused login is an answer. A client of
// go-redis would log each failed attempt.
func (s *Server) ready(ctx context.Context, p *process) bool {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	conn, err := s.dial(ctx)
	if err != nil {
		return false
	}
	client := proto.NewClient(conn)
	defer func() { _ = client.Close() }()
	_ = conn.SetDeadline(time.Now().Add(askTimeout)) // fails only on a closed connection
	if s.opts.Password != "" {
		if answer, err := client.Do("AUTH", s.opts.Password); err != nil || answer != proto.Inline("OK") {
			return refused(answer)
		}
	}
	info, err := client.Do("INFO")
	if err != nil || strings.HasPrefix(info, "-") {
		return refused(info)
	}
	return strings.Contains(info, fmt.Sprintf("\r\nprocess_id:%d\r\n", p.Process.Pid)) &&
		!strings.Contains(info, "\r\nloading:1\r\n")
}

func (s *Server) dial(ctx context.Context) (net.Conn, error) {
	if s.opts.TLS == nil {
		return new(net.Dialer).DialContext(ctx, "tcp", s.Addr())
	}
	// The process id says who answers; the certificate may be wrong on purpose.
	return (&tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true}}).DialContext(ctx, "tcp", s.Addr())
}

// refused reports whether the answer is that of a server which is up but does not let us in.
func refused(answer string) bool {
	code, _, _ := strings.Cut(answer, " ")
	return code == "-NOAUTH" || code == "-WRONGPASS" || code == "-NOPERM"
}
