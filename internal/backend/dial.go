package backend

import (
	"context"
	"fmt"
	"net"
	"time"

	"github.com/redis/go-redis/v9"
)

// dialer keeps go-redis dialling. After as many failed dials as a pool has places, go-redis fails every command without a
// try and looks only once a second whether the server is back, so that a visitor would be told of a trouble that is
// over. A connection that could not be made is therefore given to it as one that is broken: its first use fails with
// the error of the dial.
type dialer struct{}

var _ redis.Hook = dialer{}

// DialHook never fails.
func (dialer) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := next(ctx, network, addr)
		if err != nil {
			return broken{fmt.Errorf("%w", noConnection{err})}, nil // go-redis takes one layer off
		}
		return conn, nil
	}
}

// ProcessHook changes nothing.
func (dialer) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }

// ProcessPipelineHook changes nothing.
func (dialer) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
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
