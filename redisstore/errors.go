package redisstore

import (
	"errors"
	"fmt"
	"strings"
)

// The errors of this package, to be tested with [errors.Is]. Their texts, and those of the errors that wrap
// them, never contain a session id, a cookie, a key or a password.
var (
	// ErrUnavailable reports that Redis could not be asked, or did not answer in time: nothing is known about
	// the session, and nothing that was known is lost. A write that ends with it may have been executed, once
	// at most. The right answer to a browser is 503, without a Set-Cookie.
	ErrUnavailable = errors.New("redisstore: redis is unavailable")

	// ErrFull reports that Redis refused to write because its memory is used up (OOM, with the policy
	// noeviction). Nothing was written. An error that is ErrFull is ErrUnavailable too.
	ErrFull = errors.New("redisstore: redis is out of memory")

	// ErrGone reports that the session was destroyed or has expired since it was loaded. Nothing was written:
	// a session that is gone stays gone.
	ErrGone = errors.New("redisstore: session is gone")

	// ErrTooLarge reports that the session would exceed the limit of [WithMaxBytes]. Nothing was written.
	ErrTooLarge = errors.New("redisstore: session is too large")

	// ErrCorrupt reports that what lies under the session's key was not written by this package: another
	// type than a hash, a field that is not JSON, or a counter that is not a whole number. It was left as it
	// is, but an [Increment] may have counted beside it; [Abandon] starts a new session in its place.
	ErrCorrupt = errors.New("redisstore: session data is corrupt")

	// ErrOverflow reports that a counter would leave the range of ±(2^53 - 1), in which every JSON reader
	// agrees on whole numbers. Nothing was written.
	ErrOverflow = errors.New("redisstore: counter overflow")

	// ErrInvalid reports a value or a field name that cannot be stored (see the package documentation), or
	// contradictory arguments. It is a mistake in the calling program. Nothing was written.
	ErrInvalid = errors.New("redisstore: invalid argument")
)

// classify turns an error of the Redis client into one of this package.
func classify(err error) error {
	switch {
	case err == nil:
		return nil
	case strings.Contains(err.Error(), "WRONGTYPE"): // older servers wrap errors of a script into their own text
		return fmt.Errorf("%w: another type lies under its key", ErrCorrupt)
	case strings.Contains(err.Error(), "OOM "):
		return fmt.Errorf("%w: %w", ErrUnavailable, ErrFull)
	default:
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
}
