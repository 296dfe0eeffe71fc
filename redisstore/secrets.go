package redisstore

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	// askAgain limits how often forged cookies can make a store read the shared secret again.
	askAgain = time.Second
	// keepFresh is how often a store in use reads the shared secret anyway, so that a Redis that evicts unused keys keeps
	// it, and one that has evicted it gets it back.
	keepFresh = 2 * time.Second
	// maxShared limits how many shared secrets a store remembers: the one in Redis and its predecessors.
	maxShared = 4
)

// secrets are the keys that sign a store's cookies: those that it was given, or else a random one that the stores share
// through Redis. It is safe for concurrent use.
type secrets struct {
	given keyring // nil: shared

	rdb    redis.UniversalClient
	key    string // where in Redis the shared secret is
	shared atomic.Pointer[sharedSecrets]
	asking chan struct{} // holds a token while a request asks Redis
	// Guarded by the token:
	forced time.Time // when a request last asked although a secret was known
	asked  time.Time // when a request last asked
	failed error     // why that failed
}

// sharedSecrets is what was learned from Redis. It is immutable.
type sharedSecrets struct {
	texts []string // newest first
	ring  keyring
	at    time.Time
}

// ring returns the keys, asking Redis only if the shared secret is not known yet.
func (x *secrets) ring(ctx context.Context) (keyring, error) {
	if x.given != nil {
		return x.given, nil
	}
	known := x.shared.Load()
	if known == nil {
		return x.ask(ctx, false)
	}
	if time.Since(known.at) > keepFresh && len(x.asking) == 0 {
		go func() { // in the background: the visit need not wait for it
			ctx, cancel := context.WithTimeout(context.Background(), keepFresh)
			defer cancel()
			_, _ = x.ask(ctx, false) // the next visit tries again
		}()
	}
	return known.ring, nil
}

// ask reads the shared secret; where there is none, it puts the known one back or makes one. One caller asks Redis, and those
// that come meanwhile wait for its result. A caller that knows a secret and doubts it sets force.
func (x *secrets) ask(ctx context.Context, force bool) (keyring, error) {
	if x.given != nil {
		return x.given, nil
	}
	began := time.Now()
	select {
	case x.asking <- struct{}{}:
		defer func() { <-x.asking }()
	case <-ctx.Done():
		return nil, classify(ctx.Err())
	}
	known := x.shared.Load()
	if known != nil && (force && time.Since(x.forced) < askAgain || !force && time.Since(known.at) < keepFresh) {
		return known.ring, nil
	}
	if x.failed != nil && x.asked.After(began) {
		return nil, x.failed
	}
	x.asked, x.failed = time.Now(), nil
	text, err := x.read(ctx, known)
	if err != nil {
		if ctx.Err() == nil { // it is Redis' failure, not the end of this caller's time
			x.failed = err
		}
		return nil, err
	}
	learned := &sharedSecrets{texts: []string{text}, at: time.Now()}
	if known != nil {
		older := slices.DeleteFunc(slices.Clone(known.texts), func(old string) bool { return old == text })
		learned.texts = append(learned.texts, older[:min(len(older), maxShared-1)]...)
	}
	for _, text := range learned.texts {
		learned.ring = append(learned.ring, newSigner([]byte(text)))
	}
	x.shared.Store(learned)
	if force {
		x.forced = learned.at
	}
	return learned.ring, nil
}

// read returns the secret that is in Redis, after setting it where there is none. It is the only key without a time to live.
func (x *secrets) read(ctx context.Context, known *sharedSecrets) (text string, err error) {
	proposal := rand.Text() + rand.Text() // 260 bits
	if known != nil {
		proposal = known.texts[0]
	}
	if err = x.rdb.SetNX(ctx, x.key, proposal, 0).Err(); err == nil {
		text, err = x.rdb.Get(ctx, x.key).Result()
	}
	err = classify(err)
	switch {
	case errors.Is(err, ErrCorrupt):
		return "", fmt.Errorf("%w: another type than a string lies under the key of the shared secret", ErrUnavailable)
	case err != nil:
		return "", fmt.Errorf("shared secret: %w", err)
	case len(text) < MinKeyBytes:
		return "", fmt.Errorf("%w: the shared secret is shorter than %d bytes", ErrUnavailable, MinKeyBytes)
	}
	return text, nil
}

// check reads the shared secret, and puts a known one back. It does not make the first one, which is left to the first
// visit: it only tries the right to set one, with another key.
func (x *secrets) check(ctx context.Context, spare string) error {
	if x.given == nil && x.shared.Load() == nil {
		if err := x.rdb.Get(ctx, x.key).Err(); errors.Is(err, redis.Nil) {
			return classify(x.rdb.SetNX(ctx, spare, "", askAgain).Err())
		}
	}
	_, err := x.ask(ctx, true)
	return err
}

// id returns the session id in the request's cookies, "" if none is validly signed.
func (x *secrets) id(ctx context.Context, r *http.Request, name string) (string, error) {
	candidates := slices.DeleteFunc(r.CookiesNamed(name), func(c *http.Cookie) bool { return idIn(c.Value) == "" })
	if len(candidates) == 0 {
		return "", nil
	}
	ring, err := x.ring(ctx)
	if err != nil {
		return "", err
	}
	if id, ok := ring.first(name, candidates); ok {
		return id, nil
	}
	if ring, err = x.ask(ctx, true); err != nil { // another process may have made a new one
		return "", err
	}
	id, _ := ring.first(name, candidates)
	return id, nil
}

// sign returns the cookie value for a session id.
func (x *secrets) sign(ctx context.Context, name, id string) (string, error) {
	ring, err := x.ring(ctx)
	if err != nil {
		return "", err
	}
	return ring[0].sign(name, id), nil
}
