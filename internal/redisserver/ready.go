package redisserver

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"

	"visit-counter/internal/child"
)

const (
	pollInterval = 10 * time.Millisecond
	askTimeout   = 500 * time.Millisecond // for one attempt to reach the server
)

// awaitReady returns nil once the child answers, and an error if it ends, if somebody else answers in its
// place, or if ctx ends first.
func (s *Server) awaitReady(ctx context.Context, process *child.Process) error {
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for {
		if ctx.Err() != nil {
			return fmt.Errorf("not ready: %w", ctx.Err())
		}
		if ready, err := s.ask(ctx, process); ready || err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-process.Done():
			return ending(process)
		case <-ctx.Done():
		}
	}
}

// ending says how the process ended.
func ending(process *child.Process) error {
	err := process.Err()
	switch {
	case strings.Contains(process.Log(), "ddress already in use"):
		return errPortTaken
	case err != nil:
		return fmt.Errorf("ended: %w", err)
	}
	return errors.New("ended with status 0")
}

// ask reports whether the child answers commands. A refused login is an answer; no connection, a lost one
// and LOADING are none yet. The few commands are spoken by hand because a client would log each failed try.
func (s *Server) ask(ctx context.Context, process *child.Process) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	conn, err := s.dial(ctx)
	if err != nil {
		return false, nil
	}
	defer conn.Close()
	if until, ok := ctx.Deadline(); ok {
		_ = conn.SetDeadline(until) // fails only on a closed connection
	}
	r := bufio.NewReader(conn)
	if s.opts.Password != "" {
		if answer := call(conn, r, "AUTH", s.opts.Password); answer != "+OK" {
			return refused(answer), nil
		}
	}
	if answer := call(conn, r, "PING"); answer != "+PONG" {
		return refused(answer), nil
	}
	info := call(conn, r, "INFO", "server")
	if !strings.HasPrefix(info, "$") {
		return refused(info), nil
	}
	if !strings.Contains(info, "process_id:"+strconv.Itoa(process.PID())+"\r\n") {
		return false, errPortTaken
	}
	return true, nil
}

func (s *Server) dial(ctx context.Context) (net.Conn, error) {
	if s.opts.TLS == nil {
		return new(net.Dialer).DialContext(ctx, "tcp", s.Addr())
	}
	// Who answers is checked by the process id; the certificate may be wrong on purpose.
	config := &tls.Config{InsecureSkipVerify: true} //nolint:gosec // the process id tells that it is our server
	return (&tls.Dialer{Config: config}).DialContext(ctx, "tcp", s.Addr())
}

// call sends one command and returns its answer: a line, or "$" and the text of a bulk string. The empty
// answer means that there was none.
func call(conn net.Conn, r *bufio.Reader, args ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "*%d\r\n", len(args))
	for _, arg := range args {
		fmt.Fprintf(&b, "$%d\r\n%s\r\n", len(arg), arg)
	}
	if _, err := io.WriteString(conn, b.String()); err != nil {
		return ""
	}
	line, err := r.ReadString('\n')
	if err != nil {
		return ""
	}
	line = strings.TrimSuffix(line, "\r\n")
	length, isBulk := strings.CutPrefix(line, "$")
	if !isBulk {
		return line
	}
	n, err := strconv.Atoi(length)
	if err != nil || n < 0 {
		return ""
	}
	text := make([]byte, n)
	if _, err := io.ReadFull(r, text); err != nil {
		return ""
	}
	return "$" + string(text)
}

// refused reports whether the answer is that of a server which is up but does not let us in.
func refused(answer string) bool {
	code, _, _ := strings.Cut(answer, " ")
	return code == "-NOAUTH" || code == "-WRONGPASS" || code == "-NOPERM"
}
