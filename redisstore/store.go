package redisstore

import (
	"context"
	"crypto/rand"
	_ "embed"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/gin-contrib/sessions"
	gsessions "github.com/gorilla/sessions"
	"github.com/redis/go-redis/v9"
)

var (
	//go:embed write.lua
	writeSource string
	//go:embed regenerate.lua
	regenerateSource string

	writeScript      = redis.NewScript(writeSource)
	regenerateScript = redis.NewScript(regenerateSource)
)

// A Store keeps sessions in Redis. It is safe for concurrent use; a session belongs to its request.
type Store struct {
	rdb         redis.UniversalClient
	prefix      string
	ttl         time.Duration
	maxLifetime time.Duration // 0: none
	timeout     time.Duration
	maxBytes    int
	types       types
	cookie      gsessions.Options
	secrets     secrets
	lanes       *lanes
}

var _ sessions.Store = (*Store)(nil)

// New returns a Store that keeps sessions in rdb, which needs ContextTimeoutEnabled, stays the caller's, and is not asked yet.
// The first of keys signs the cookies, the others still verify. With no keys, all stores with the same Redis and prefix share
// a random one, under prefix + "secret": whoever can read Redis can sign cookies then.
func New(rdb redis.UniversalClient, keys [][]byte, opts ...Option) (*Store, error) {
	if !honoursDeadlines(rdb) {
		return nil, fmt.Errorf("%w: a Redis client is needed that ends at deadlines: set ContextTimeoutEnabled: true in its options", ErrInvalid)
	}
	s := &Store{
		rdb: rdb, prefix: DefaultPrefix, ttl: DefaultTTL, timeout: DefaultTimeout, maxBytes: DefaultMaxBytes,
		types: newTypes(), lanes: newLanes(rand.Text()[:10]), // 50 bits
	}
	for _, key := range keys {
		if len(key) < MinKeyBytes {
			return nil, fmt.Errorf("%w: a key of %d bytes, at least %d are needed", ErrInvalid, len(key), MinKeyBytes)
		}
		s.secrets.given = append(s.secrets.given, newSigner(key))
	}
	for _, opt := range opts {
		if opt == nil {
			return nil, fmt.Errorf("%w: an option is nil", ErrInvalid)
		}
		if err := opt(s); err != nil {
			return nil, err
		}
	}
	if s.maxLifetime > 0 {
		s.ttl = min(s.ttl, s.maxLifetime)
	}
	s.Options(sessions.Options{Path: "/", MaxAge: seconds(s.ttl), HttpOnly: true, SameSite: http.SameSiteLaxMode})
	s.secrets.rdb, s.secrets.key, s.secrets.asking = rdb, s.prefix+"secret", make(chan struct{}, 1)
	return s, nil
}

// honoursDeadlines reports whether a client ends its commands at their context's deadline, as far as one can see.
func honoursDeadlines(rdb redis.UniversalClient) bool {
	switch c := rdb.(type) {
	case nil:
		return false
	case *redis.Client:
		return c != nil && c.Options().ContextTimeoutEnabled
	case *redis.ClusterClient:
		return c != nil && c.Options().ContextTimeoutEnabled
	case *redis.Ring:
		return c != nil && c.Options().ContextTimeoutEnabled
	}
	return true
}

// Options sets all attributes of the cookies; without it they are Path "/", HttpOnly, SameSite=Lax and the Max-Age of
// [WithTTL]. Call it before the store is in use. A MaxAge above 0 is a time to live too; 0 makes cookies that end with the
// browser. Options of one session replace all attributes in one answer, and its MaxAge stays with it; below 0, Save destroys it.
func (s *Store) Options(o sessions.Options) {
	s.cookie = *o.ToGorillaOptions()
	if o.MaxAge > 0 && o.MaxAge != seconds(s.ttl) {
		s.ttl = time.Duration(min(o.MaxAge, maxMaxAge)) * time.Second
	}
}

// Get returns the request's session, loading it at the first call.
func (s *Store) Get(r *http.Request, name string) (*gsessions.Session, error) {
	rec := stateOf(r).record(s, name)
	session, err := gsessions.GetRegistry(r).Get(rec, name)
	if session == nil { // the name cannot be that of a cookie
		if rec.session == nil {
			rec.begin()
			rec.err = fmt.Errorf("%w: not the name of a cookie", ErrInvalid)
		}
		return rec.session, rec.err
	}
	return session, err
}

// New loads the session that the request's cookie names, or returns a new one: never nil, and on an error one that refuses to
// be saved, with that error.
func (s *Store) New(r *http.Request, name string) (*gsessions.Session, error) {
	return (&record{store: s, name: name}).New(r, name)
}

// Save writes the fields that changed since the load, removes those that were removed, renews the session and sets its
// cookie: one command, or nothing at all on an error. A session with a MaxAge below 0 is destroyed.
func (s *Store) Save(r *http.Request, w http.ResponseWriter, session *gsessions.Session) error {
	rec, err := recordOf(session)
	if err != nil {
		return err
	}
	if err := notBegun(w); err != nil {
		return err
	}
	if session.Options != nil && session.Options.MaxAge < 0 {
		return rec.destroy(r.Context(), w)
	}
	if rec.err != nil {
		return fmt.Errorf("redisstore: a session that failed to load is not saved: %w", rec.err)
	}
	return rec.save(r.Context(), w)
}

// notBegun reports an answer that has begun, as far as w tells: gin's writer does.
func notBegun(w http.ResponseWriter) error {
	if begun, ok := w.(interface{ Written() bool }); ok && begun.Written() {
		return fmt.Errorf("%w: the answer has begun, and the session's cookie cannot be sent any more: save before the body is written", ErrInvalid)
	}
	return nil
}

// key returns a session's key in Redis.
func (s *Store) key(id string) string { return s.prefix + "session:" + id }

// limit returns the context of an operation's commands. It ends at the request's deadline or after the store's timeout,
// but not when the visitor leaves: a command that is cancelled halfway costs its connection.
func (s *Store) limit(ctx context.Context) (context.Context, context.CancelFunc, error) {
	if err := ctx.Err(); err != nil {
		return nil, nil, classify(err)
	}
	end := time.Now().Add(s.timeout)
	if deadline, ok := ctx.Deadline(); ok && deadline.Before(end) {
		end = deadline
	}
	limited, cancel := context.WithDeadline(context.WithoutCancel(ctx), end)
	return limited, cancel, nil
}

// run runs a script and returns what it answers: the fields of a session, name by value, and how long it lives; or the error
// that its answer stands for.
func (s *Store) run(ctx context.Context, script *redis.Script, keys []string, args ...any) (fields []string, lives time.Duration, err error) {
	answer, err := script.Run(ctx, s.rdb, keys, args...).StringSlice()
	if err != nil {
		return nil, 0, classify(err)
	}
	return parse(answer)
}

// parse takes a script's answer apart. Its status comes last, before it how long the session lives, or the field that is
// wrong.
func parse(answer []string) (fields []string, lives time.Duration, err error) {
	about, status := "", ""
	if n := len(answer); n > 0 {
		status, answer = answer[n-1], answer[:n-1]
	}
	if n := len(answer); n > 0 {
		about, answer = answer[n-1], answer[:n-1]
	}
	switch status {
	case "OK":
		ms, err := strconv.ParseInt(about, 10, 64)
		if err != nil || len(answer)%2 != 0 {
			break
		}
		return answer, time.Duration(ms) * time.Millisecond, nil
	case "GONE":
		return nil, 0, ErrGone
	case "TOOLARGE":
		return nil, 0, ErrTooLarge
	case "OVERFLOW":
		return nil, 0, fmt.Errorf("%w: field %.40q", ErrOverflow, about)
	case "CORRUPT":
		return nil, 0, fmt.Errorf("%w: field %.40q", ErrCorrupt, about)
	}
	return nil, 0, fmt.Errorf("%w: a script's answer is not understood", ErrUnavailable)
}
