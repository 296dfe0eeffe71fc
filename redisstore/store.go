package redisstore

import (
	"crypto/rand"
	_ "embed"
	"fmt"
	"net/http"
	"time"

	"github.com/gin-contrib/sessions"
	gsessions "github.com/gorilla/sessions"
	"github.com/redis/go-redis/v9"
)

const (
	// reserved is the start of the field names that the store keeps for itself.
	reserved = "@"
	// createdField holds when a session was created, in milliseconds since 1970.
	createdField = reserved + "created"
	// separator joins the parts of a script's answer.
	separator = "\x00"
)

var (
	//go:embed increment.lua
	incrementSource string
	//go:embed save.lua
	saveSource string
	//go:embed regenerate.lua
	regenerateSource string
	//go:embed abandon.lua
	abandonSource string

	incrementScript  = newScript(incrementSource)
	saveScript       = newScript(saveSource)
	regenerateScript = newScript(regenerateSource)
	abandonScript    = newScript(abandonSource)
)

// A Store keeps the sessions of gin-contrib/sessions in Redis. It is safe for concurrent use; a session that it
// returns belongs to one request, as everywhere in gorilla/sessions.
type Store struct {
	rdb         redis.UniversalClient
	deadlines   bool // rdb itself ends a command at its context's deadline
	prefix      string
	ttl         time.Duration
	maxLifetime time.Duration // 0: none
	maxBytes    int
	cookie      gsessions.Options
	cookieSet   bool
	secrets     secrets
	sender      string // names this store in the sessions it increments
	inflight    inflight
}

var _ sessions.Store = (*Store)(nil)

// New returns a Store that keeps sessions in rdb. It does no I/O, and rdb stays the caller's, who closes it.
//
// keys sign the cookies: the first signs, the others still verify, so that a key can be retired without logging
// anybody out. Each has at least [MinKeyBytes] random bytes. With no keys, all stores with the same Redis and
// the same prefix share a random one that they keep there, under prefix + "secret": nothing needs configuring,
// and whoever can read Redis, where the sessions are anyway, can sign cookies.
//
// A rdb built without ContextTimeoutEnabled works, at the price of a goroutine for each command: go-redis would
// otherwise not end a command at its context's deadline.
func New(rdb redis.UniversalClient, keys [][]byte, opts ...Option) (*Store, error) {
	if isNil(rdb) {
		return nil, fmt.Errorf("%w: a Redis client is needed", ErrInvalid)
	}
	for i, key := range keys {
		if len(key) < MinKeyBytes {
			return nil, fmt.Errorf("%w: key %d has %d bytes, at least %d are needed",
				ErrInvalid, i+1, len(key), MinKeyBytes)
		}
	}
	s := &Store{
		rdb: rdb, deadlines: honoursDeadlines(rdb),
		prefix: DefaultPrefix, ttl: DefaultTTL, maxBytes: DefaultMaxBytes,
		sender: reserved + rand.Text()[:10] + ".", // 50 bits
	}
	if err := s.apply(opts); err != nil {
		return nil, err
	}
	if !s.cookieSet {
		s.Options(defaultCookie(s.ttl))
	}
	if s.maxLifetime > 0 && s.maxLifetime < s.ttl {
		s.ttl = s.maxLifetime
	}
	if len(keys) > 0 {
		s.secrets.given = newKeyring(keys)
	} else {
		s.secrets.sharedKey = s.prefix + "secret"
		s.secrets.resyncing = make(chan struct{}, 1)
	}
	return s, nil
}

func (s *Store) apply(opts []Option) error {
	for _, opt := range opts {
		if opt == nil {
			return fmt.Errorf("%w: an option is nil", ErrInvalid)
		}
		if err := opt(s); err != nil {
			return err
		}
	}
	return nil
}

// Options sets the attributes of the cookie, all of them: a field left out is off. Call it before the store is
// in use. A MaxAge above 0 is also how many seconds a session lives after its last use, 0 makes a cookie that
// ends with the browser while the session lives as [WithTTL] says, and a session saved with a MaxAge below 0 is
// destroyed. It is how gin-contrib/sessions sets options; [WithCookie] does the same. A session's own Options replaces
// all of them as well, in that session's cookie.
func (s *Store) Options(o sessions.Options) { s.cookie = *o.ToGorillaOptions() }

// Get returns the request's session of that name, loading it at the first call. See [Store.New].
func (s *Store) Get(r *http.Request, name string) (*gsessions.Session, error) {
	return gsessions.GetRegistry(r).Get(stateOf(r).record(s, name), name)
}

// New loads the session that the request's cookie names, with one HGETALL. Without a cookie, with one that is
// not signed by a key of this store, or with one whose session is gone, it returns a new session, which has no
// id until it is saved and never takes one from the cookie.
//
// The session is never nil. On an error it is empty and refuses to be saved: [ErrUnavailable] when Redis could
// not be asked, [ErrCorrupt] when something else lies under its key. gin-contrib/sessions only logs this error;
// Save returns it again.
func (s *Store) New(r *http.Request, name string) (*gsessions.Session, error) {
	return (&record{store: s, name: name}).New(r, name)
}

// Save writes the fields that changed since the load and removes those that were removed; a field that the
// request did not change is never written, so two requests that set different fields keep both, and of two that
// set the same field the last one wins. The session is renewed and the cookie is set, also when nothing changed.
// A session with a MaxAge below 0 is destroyed instead, as by [Store.Destroy].
//
// Save costs one command. It fails with [ErrGone] when the session has been destroyed or has expired since the
// load, with [ErrTooLarge], with [ErrInvalid] for a value that JSON cannot hold, with [ErrUnavailable], or with
// the error of the load; nothing is written then, and no cookie is set. r's context bounds it.
func (s *Store) Save(r *http.Request, w http.ResponseWriter, session *gsessions.Session) error {
	rec, err := recordOf(session)
	if err != nil {
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

// key returns a session's key in Redis.
func (s *Store) key(id string) string { return s.prefix + "session:" + id }
