package redisstore

import (
	"context"
	"crypto/rand"
	_ "embed"
	"fmt"
	"net/http"
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

// A Store keeps the sessions of gin-contrib/sessions in Redis. It is safe for concurrent use; a session that it
// returns belongs to one request, as everywhere in gorilla/sessions.
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

// New returns a Store that keeps sessions in rdb. It does no I/O ([Store.Check] does), and rdb stays the caller's, who
// closes it. rdb needs ContextTimeoutEnabled, without which go-redis ignores deadlines.
//
// keys sign the cookies: the first signs, the others still verify, so that a key can be retired without logging
// anybody out. Each has at least [MinKeyBytes] random bytes. With no keys, all stores with the same Redis and
// the same prefix share a random one that they keep there, under prefix + "secret": nothing needs configuring,
// and whoever can read Redis, where the sessions are anyway, can sign cookies.
//
// Cookies have Path "/", HttpOnly, SameSite=Lax and a Max-Age that follows [WithTTL]: see [Store.Options].
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

// Options sets the attributes of all cookies, as gin-contrib/sessions asks for them: a field left out is off, so set
// Path "/" and HttpOnly. Call it before the store is in use. A MaxAge above 0 is also how many seconds a session lives after
// its last use; 0 makes cookies that end with the browser, while sessions live as [WithTTL] says.
//
// Options of one session (sessions.Session has the same method) replace all attributes in this one answer, but the MaxAge
// stays with the session: every later cookie has it, and it is the session's time to live if it is above 0. A session
// saved with a MaxAge below 0 is destroyed.
func (s *Store) Options(o sessions.Options) {
	s.cookie = *o.ToGorillaOptions()
	if o.MaxAge > 0 && o.MaxAge != seconds(s.ttl) {
		s.ttl = time.Duration(min(o.MaxAge, maxMaxAge)) * time.Second
	}
}

// Get returns the request's session of that name, loading it at the first call. See [Store.New].
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

// New loads the session that the request's cookie names, in one round trip. Without a cookie, with one that is
// not signed by a key of this store, or with one whose session is gone, it returns a new session, which has no
// id until it is saved and never takes one from the cookie.
//
// The session is never nil. On an error it is empty and refuses to be saved: [ErrUnavailable] when Redis could
// not be asked, [ErrCorrupt] when something else lies under its key. gin-contrib/sessions only logs this error;
// Save returns it again, and [Session.Load] does.
func (s *Store) New(r *http.Request, name string) (*gsessions.Session, error) {
	return (&record{store: s, name: name}).New(r, name)
}

// Save writes the fields that changed since the load and removes those that were removed, in one command; a field that
// the request did not change is never written, so two requests that set different fields keep both, and of two that
// set the same field the last one wins. The session is renewed and the cookie is set, also when nothing changed.
// A session with a MaxAge below 0 is destroyed instead, as by [Session.Destroy].
//
// It fails with [ErrGone] when the session was destroyed or has expired since the load, with [ErrTooLarge], with
// [ErrInvalid] for a value that could not come back as it is or when w's answer has begun, with [ErrUnavailable], or with
// the error of the load; nothing is written then, and no cookie is set.
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
// but not when the visitor goes away: a command that is cancelled halfway costs its connection.
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

// run runs a script and returns what it answers after the "OK", or the error that its answer stands for.
func (s *Store) run(ctx context.Context, script *redis.Script, keys []string, args ...any) ([]string, error) {
	answer, err := script.Run(ctx, s.rdb, keys, args...).StringSlice()
	if err != nil {
		return nil, classify(err)
	}
	return parse(answer)
}

// parse returns the parts of a script's answer after the "OK", the time to live first, or the error that it stands for.
func parse(answer []string) ([]string, error) {
	status, rest := "", []string(nil)
	if len(answer) > 0 {
		status, rest = answer[0], answer[1:]
	}
	var kind error
	switch status {
	case "OK":
		if len(rest)%2 == 1 {
			return rest, nil
		}
	case "GONE":
		return nil, ErrGone
	case "TOOLARGE":
		return nil, ErrTooLarge
	case "OVERFLOW":
		kind = ErrOverflow
	case "CORRUPT":
		kind = ErrCorrupt
	}
	if kind == nil || len(rest) != 1 {
		return nil, fmt.Errorf("%w: a script's answer is not understood", ErrUnavailable)
	}
	return nil, fmt.Errorf("%w: field %.40q", kind, rest[0])
}
