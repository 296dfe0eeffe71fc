package backend

import (
	"context"
	"fmt"
	"net"
	"time"

	"github.com/redis/go-redis/v9"

	"visit-counter/internal/redisfault"
)

// dialer makes connections. It tries all addresses of a name, and keeps go-redis from giving up.
type dialer struct {
	passThrough
	timeout time.Duration // for one connection
	lookup  func(ctx context.Context, host string) ([]string, error)
}

func newDialer(o *redis.Options) dialer {
	return dialer{timeout: o.DialTimeout, lookup: net.DefaultResolver.LookupHost}
}

// DialHook never fails. After as many failed dials as a pool has places, go-redis fails every command without trying and
// checks only once a second whether the server is back, so that visitors would still be refused when it is. There is no
// option for that (v9.23.0, internal/pool/pool.go, dialConn). So go-redis gets a broken connection instead of an error: its
// first use fails with the error of the dial.
func (d dialer) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := d.dial(ctx, next, network, addr)
		if err != nil {
			return broken{fmt.Errorf("%w", noConnection{err})}, nil // go-redis takes one layer off
		}
		return conn, nil
	}
}

// dial tries the addresses of a name one after the other, each with its share of the time, so that one that never answers
// leaves time for the others. net.Dialer does the same, but gives each at least 2 seconds.
func (d dialer) dial(ctx context.Context, next redis.DialHook, network, addr string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil { // a socket, or a master whose address go-redis gets from the Sentinels
		return next(ctx, network, addr)
	}
	ctx, cancel := context.WithTimeout(ctx, d.timeout)
	defer cancel()
	ips, err := d.lookup(ctx, host)
	if err != nil {
		return nil, err
	}
	deadline, _ := ctx.Deadline()
	for i, ip := range ips {
		share, cancel := context.WithTimeout(ctx, time.Until(deadline)/time.Duration(len(ips)-i))
		var conn net.Conn
		conn, err = next(share, network, net.JoinHostPort(ip, port))
		cancel()
		if err == nil {
			return conn, nil
		}
	}
	return nil, err
}

// noConnection is the error of a command that was not sent.
type noConnection struct{ error }

func (e noConnection) Unwrap() error { return e.error }

// broken is a connection that could not be made.
type broken struct{ err error }

func (b broken) Read([]byte) (int, error)       { return 0, b.err }
func (b broken) Write([]byte) (int, error)      { return 0, b.err }
func (broken) Close() error                     { return nil }
func (broken) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (broken) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (broken) SetDeadline(time.Time) error      { return nil }
func (broken) SetReadDeadline(time.Time) error  { return nil }
func (broken) SetWriteDeadline(time.Time) error { return nil }

// greeter keeps the reason when Redis answers a new connection with an error and closes it, because it has too many or
// because it is in protected mode. go-redis takes such an answer for that of an old server without HELLO, goes on, and finds
// the connection closed. It stops only at an error that is not an answer of Redis, so greeter returns one.
type greeter struct{ passThrough }

// ProcessHook looks at the first command of a connection.
func (greeter) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		err := next(ctx, cmd)
		if err == nil || cmd.Name() != "hello" {
			return err
		}
		if fault := redisfault.Explain(err); fault.Closes {
			return fault
		}
		return err
	}
}
