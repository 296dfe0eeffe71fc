package redisstore

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/redis/go-redis/v9"
)

// The errors of this package, for [errors.Is]. Their texts hold no id, cookie, key or password, and of Redis' answer its code
// only; the cause is behind them. ErrUnavailable: a write was executed once or not at all; else nothing was written, but that
// an increment may have counted beside a field that is ErrCorrupt. ErrFull is ErrUnavailable too.
var (
	ErrUnavailable = errors.New("redisstore: redis is unavailable")    // it could not be asked, or not in time
	ErrFull        = errors.New("redisstore: redis is out of memory")  // and takes no new data
	ErrGone        = errors.New("redisstore: session is gone")         // destroyed or expired; it stays gone
	ErrCorrupt     = errors.New("redisstore: session data is corrupt") // or no session at all; it stays as it is
	ErrTooLarge    = errors.New("redisstore: session is too large")    // beyond WithMaxBytes
	ErrOverflow    = errors.New("redisstore: counter overflow")        // beyond ±(2^53 - 1), as in all readers of JSON
	ErrInvalid     = errors.New("redisstore: invalid argument")        // a mistake in the program: see the text
)

// failure is one of this package's errors with its cause. The text says what, and nothing of the cause.
type failure struct {
	kind  error
	what  string
	cause error
}

func (f *failure) Error() string { return f.kind.Error() + ": " + f.what }

func (f *failure) Unwrap() []error { return []error{f.kind, f.cause} }

// classify turns an error of the Redis client, or of a context, into one of this package. A request that was cancelled
// is not a failure of Redis: it stays context.Canceled.
func classify(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, context.Canceled):
		return fmt.Errorf("redisstore: the request has ended: %w", context.Canceled)
	case timedOut(err):
		return &failure{ErrUnavailable, "no answer in time", err}
	}
	switch code := codeOf(err); code {
	case "WRONGTYPE":
		return fmt.Errorf("%w: another type than a hash lies under its key", ErrCorrupt)
	case "OOM":
		return &failure{ErrUnavailable, "OOM", errors.Join(ErrFull, err)}
	default:
		return &failure{ErrUnavailable, code, err}
	}
}

func timedOut(err error) bool {
	var network net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.As(err, &network) && network.Timeout()
}

// answers are those of Redis whose code is not their first word. Redis before version 7 wraps the errors of scripts into a
// sentence, go-redis those of a new connection. The first that fits counts: Redis repeats arguments behind it.
var answers = []struct{ part, code string }{
	{"nknown command", "unknown command"},
	{"nknown Redis command", "unknown command"},
	{"can't run this command", "NOPERM"},
	{"can't access at least one of the keys", "NOPERM"},
	{"max number of clients", "max number of clients"},
	{"DB index is out of range", "DB index is out of range"},
	{"unauthenticated multibulk length", "NOAUTH"}, // the answer to a command of more than ten words
	{"OOM command not allowed", "OOM"},
	{"WRONGTYPE Operation", "WRONGTYPE"},
}

// codeOf returns the code of Redis' answer, or ours for an error that is none.
func codeOf(err error) string {
	for _, answer := range answers {
		if strings.Contains(err.Error(), answer.part) {
			return answer.code
		}
	}
	var reply redis.Error
	if !errors.As(err, &reply) {
		return "no connection"
	}
	code, _, _ := strings.Cut(reply.Error(), " ")
	if code == "" || len(code) > 20 || strings.Trim(code, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" {
		return "ERR"
	}
	return code
}
