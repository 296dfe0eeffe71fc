package redisstore

import (
	"fmt"
	"reflect"
	"strings"
	"time"
)

// The defaults of [New], the minimum length of a key, and the rights of a Redis user for this package alone, in the words of
// ACL SETUSER: replace "gin:" with your prefix.
const (
	DefaultTTL      = 24 * time.Hour  // of a session after its last use
	DefaultTimeout  = 2 * time.Second // of one operation, its wait included
	DefaultPrefix   = "gin:"          // of every key in Redis
	DefaultMaxBytes = 16 << 10        // of a session's names, values and types together
	MinKeyBytes     = 32              // of a key: as long as the signature (RFC 2104, section 3)

	Rights = "resetkeys ~gin:session:* ~gin:secret resetchannels -@all " +
		"+evalsha +eval +hgetall +hset +hdel +del +exists +rename +pexpire +pttl +time +set +get"
	ClusterRights = "+cluster|slots +command +asking" // besides, in a Cluster
)

// An Option changes a default of [New].
type Option func(*Store) error

// WithTTL sets how long a session lives after its last use. At least a second.
func WithTTL(d time.Duration) Option {
	return atLeast("a time to live", d, time.Second, func(s *Store) { s.ttl = d })
}

// WithMaxLifetime sets how long a session lives, however often it is used.
func WithMaxLifetime(d time.Duration) Option {
	return atLeast("a lifetime", d, time.Second, func(s *Store) { s.maxLifetime = d })
}

// WithTimeout bounds each operation, as its request's deadline does.
func WithTimeout(d time.Duration) Option {
	return atLeast("a timeout", d, time.Millisecond, func(s *Store) { s.timeout = d })
}

func atLeast(what string, d, min time.Duration, set func(*Store)) Option {
	return func(s *Store) error {
		if d < min {
			return fmt.Errorf("%w: %s of %v is shorter than %v", ErrInvalid, what, d, min)
		}
		set(s)
		return nil
	}
}

// WithPrefix sets the start of every key. A hash tag in it must be complete.
func WithPrefix(prefix string) Option {
	return func(s *Store) error {
		if _, tag, found := strings.Cut(prefix, "{"); found && strings.IndexByte(tag, '}') < 1 {
			return fmt.Errorf("%w: a key prefix with an incomplete or empty hash tag", ErrInvalid)
		}
		if strings.Contains(prefix, "\x00") {
			return fmt.Errorf("%w: a key prefix without NUL is needed", ErrInvalid)
		}
		s.prefix = prefix
		return nil
	}
}

// WithMaxBytes sets how much a session may hold: beyond it, [ErrTooLarge].
func WithMaxBytes(n int) Option {
	return func(s *Store) error {
		if n < 1 {
			return fmt.Errorf("%w: a session of %d bytes can hold nothing", ErrInvalid, n)
		}
		s.maxBytes = n
		return nil
	}
}

// WithTypes names types, by a value of each, as gob.Register does. Structs need exported fields only, or a pair of
// methods such as MarshalText and UnmarshalText.
func WithTypes(values ...any) Option {
	return func(s *Store) error {
		for _, value := range values {
			if err := s.types.add(reflect.TypeOf(value)); err != nil {
				return err
			}
		}
		return nil
	}
}
