package redisstore

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/redis/go-redis/v9"
)

// The errors of this package, to be tested with [errors.Is]. No text of an error holds a session id, a cookie, a key, a
// password or a sentence of Redis, which repeats what it was sent: only the code of its answer, such as NOPERM. The
// cause is behind it for [errors.As].
var (
	// ErrUnavailable reports that Redis could not be asked or did not answer in time. Nothing is known about the session,
	// and nothing that was known is lost. A write that ends with it was executed once or not at all. Answer 503, and
	// leave the cookie alone.
	ErrUnavailable = errors.New("redisstore: redis is unavailable")

	// ErrFull reports that Redis has no memory left (OOM) and wrote nothing. It is ErrUnavailable too.
	ErrFull = errors.New("redisstore: redis is out of memory")

	// ErrGone reports that the session was destroyed or has expired. Nothing was written: it stays gone. Go on with
	// [Session.Abandon], or ask for a new log-in.
	ErrGone = errors.New("redisstore: session is gone")

	// ErrCorrupt reports that what lies under the session's key is not a session, or that a field is damaged. It was
	// left as it is, but an [Session.Increment] may have counted beside it. Go on with [Session.Abandon] or [Session.Destroy].
	ErrCorrupt = errors.New("redisstore: session data is corrupt")

	// ErrTooLarge reports that the session would exceed the limit of [WithMaxBytes]. Nothing was written.
	ErrTooLarge = errors.New("redisstore: session is too large")

	// ErrOverflow reports that a counter would leave ±(2^53 - 1), in which every JSON reader agrees on whole numbers.
	// Nothing was written.
	ErrOverflow = errors.New("redisstore: counter overflow")

	// ErrInvalid reports a mistake in the program: a value that could not come back as it is, a name that cannot be
	// one, a setting that cannot work, a Save after the answer has begun. Nothing was written.
	ErrInvalid = errors.New("redisstore: invalid argument")
)

// failure is one of this package's errors with its cause, of which the text says no more than what.
type failure struct {
	kind  error
	what  string
	cause error
}

func (f *failure) Error() string { return f.kind.Error() + ": " + f.what }

func (f *failure) Unwrap() []error { return []error{f.kind, f.cause} }

// classify turns an error of the Redis client, or of a context, into one of this package. A request that was cancelled
// is no failure of Redis: its error stays what it is.
func classify(err error) error {
	var network net.Error
	switch {
	case err == nil:
		return nil
	case errors.Is(err, context.Canceled):
		return fmt.Errorf("redisstore: the request has ended: %w", context.Canceled)
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &network) && network.Timeout():
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

// answers are those of Redis whose code is not their first word. Redis before version 7 wraps the errors of scripts into a
// sentence, go-redis those of a new connection. The first that fits counts: Redis repeats arguments behind it.
var answers = []struct{ part, code string }{
	{"nknown command", "unknown command"},
	{"nknown Redis command", "unknown command"},
	{"can't run this command", "NOPERM"},
	{"can't access at least one of the keys", "NOPERM"},
	{"max number of clients", "max number of clients"},
	{"DB index is out of range", "DB index is out of range"},
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
