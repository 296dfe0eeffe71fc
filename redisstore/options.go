package redisstore

import (
	"fmt"
	"reflect"
	"strings"
	"time"
)

// The defaults of [New].
const (
	DefaultTTL      = 24 * time.Hour  // of a session after its last use
	DefaultTimeout  = 2 * time.Second // of one operation, its wait included
	DefaultPrefix   = "gin:"          // of every key in Redis
	DefaultMaxBytes = 16 << 10        // of a session's names, values and types together

	// MinKeyBytes is the least length of a key: that of the signature (RFC 2104, section 3).
	MinKeyBytes = 32
)

// What a Redis user for this package alone needs, in the words of ACL SETUSER (Redis 6.2), with [DefaultPrefix]: put yours in
// its place, and add +select for another database than 0.
const (
	Rights = "resetkeys ~gin:session:* ~gin:secret resetchannels -@all " +
		"+evalsha +eval +hgetall +hset +hdel +del +exists +rename +pexpire +pttl +time +set +get"
	// ClusterRights are for a Cluster, besides; +asking is for slots that are moved.
	ClusterRights = "+cluster|slots +command +asking"
)

// An Option changes a default of [New].
type Option func(*Store) error

// WithTTL sets how long a session lives after its last Save, Increment or Touch: the time to live of its key, and the
// Max-Age of its cookie. At least a second; [DefaultTTL] without this option.
func WithTTL(d time.Duration) Option {
	return atLeast("a time to live", d, time.Second, func(s *Store) { s.ttl = d })
}

// WithMaxLifetime sets how long a session lives at most, however often it is used (OWASP ASVS 5.0, 7.3.2), by the
// clock of Redis. At least a second; without this option there is no such limit.
func WithMaxLifetime(d time.Duration) Option {
	return atLeast("a lifetime", d, time.Second, func(s *Store) { s.maxLifetime = d })
}

// WithTimeout sets how long one operation may take, its wait for other increments of the session included; a request whose
// context has an earlier deadline ends at that. At least a millisecond; [DefaultTimeout] without this option.
func WithTimeout(d time.Duration) Option {
	return atLeast("a timeout", d, time.Millisecond, func(s *Store) { s.timeout = d })
}

func atLeast(what string, d, least time.Duration, set func(*Store)) Option {
	return func(s *Store) error {
		if d < least {
			return fmt.Errorf("%w: %s of %v is shorter than %v", ErrInvalid, what, d, least)
		}
		set(s)
		return nil
	}
}

// WithPrefix sets the start of every key in Redis: a session's is prefix + "session:" + id. [DefaultPrefix] without this
// option. Braces are a hash tag of a Cluster, which puts all sessions into one slot: the tag has to be whole, and not empty.
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

// WithMaxBytes sets how many bytes the names, JSON values and types of one session may have together; beyond it, Save
// and an Increment that adds a counter fail with [ErrTooLarge]. [DefaultMaxBytes] without this option.
func WithMaxBytes(n int) Option {
	return func(s *Store) error {
		if n < 1 {
			return fmt.Errorf("%w: a session of %d bytes can hold nothing", ErrInvalid, n)
		}
		s.maxBytes = n
		return nil
	}
}

// WithTypes tells the store of named types, by a value of each, so that they come back from a session as they were set: the
// habit of gob.Register. A pointer to a type stands for the type. Structs need exported fields only, or methods that
// write and read them (encoding.TextMarshaler, json.Marshaler or encoding.BinaryMarshaler, and their reverse).
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
