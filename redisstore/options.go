package redisstore

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/gin-contrib/sessions"
)

// The defaults of [New].
const (
	DefaultTTL      = 24 * time.Hour // of a session after its last use
	DefaultPrefix   = "gin:"         // of every key in Redis
	DefaultMaxBytes = 16 << 10       // of a session's names and values together

	// MinKeyBytes is the least length of a key: that of the signature (RFC 2104, section 3).
	MinKeyBytes = 32
)

// An Option changes a default of [New].
type Option func(*Store) error

// WithTTL sets how long a session lives after its last Save or Increment: the time to live of its key and the
// Max-Age of its cookie. At least a second; [DefaultTTL] without this option.
func WithTTL(d time.Duration) Option {
	return func(s *Store) error {
		if d < time.Second {
			return fmt.Errorf("%w: a time to live of %v is shorter than a second", ErrInvalid, d)
		}
		s.ttl = d
		return nil
	}
}

// WithMaxLifetime sets how long a session lives at most, however often it is used (OWASP ASVS 5.0, 7.3.2).
// At least a second; without this option there is no such limit.
func WithMaxLifetime(d time.Duration) Option {
	return func(s *Store) error {
		if d < time.Second {
			return fmt.Errorf("%w: a lifetime of %v is shorter than a second", ErrInvalid, d)
		}
		s.maxLifetime = d
		return nil
	}
}

// WithPrefix sets the start of every key in Redis: a session's is prefix + "session:" + id.
// [DefaultPrefix] without this option.
func WithPrefix(prefix string) Option {
	return func(s *Store) error {
		if strings.Contains(prefix, separator) {
			return fmt.Errorf("%w: a key prefix without NUL is needed", ErrInvalid)
		}
		s.prefix = prefix
		return nil
	}
}

// WithMaxBytes sets how many bytes the names and JSON values of one session may have together; beyond it,
// Save and an [Increment] that adds a counter fail with [ErrTooLarge]. [DefaultMaxBytes] without this option.
func WithMaxBytes(n int) Option {
	return func(s *Store) error {
		if n < 1 {
			return fmt.Errorf("%w: a session of %d bytes can hold nothing", ErrInvalid, n)
		}
		s.maxBytes = n
		return nil
	}
}

// WithCookie sets the attributes of the cookie, all of them: a field left out is off. Without this option they
// are Path "/", HttpOnly, SameSite=Lax and a MaxAge that follows [WithTTL]; set Secure wherever the site is
// served over HTTPS. For the meaning of MaxAge see [Store.Options].
func WithCookie(o sessions.Options) Option {
	return func(s *Store) error {
		s.Options(o)
		s.cookieSet = true
		return nil
	}
}

// defaultCookie returns safe attributes (OWASP ASVS 5.0, 3.3) for a store without WithCookie.
func defaultCookie(ttl time.Duration) sessions.Options {
	return sessions.Options{Path: "/", MaxAge: seconds(ttl), HttpOnly: true, SameSite: http.SameSiteLaxMode}
}
