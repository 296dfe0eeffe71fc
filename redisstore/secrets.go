package redisstore

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// resyncEvery bounds how often forged cookies can make a store look at the shared secret again.
	resyncEvery = time.Second
	// maxShared bounds how many shared secrets a store remembers: the one in Redis, and its predecessors.
	maxShared = 4
)

// secrets are the keys that sign a store's cookies: those that it was given, or else a random one that the
// stores share through Redis. It is safe for concurrent use.
type secrets struct {
	given keyring

	sharedKey string // where in Redis the shared secret is
	current   atomic.Pointer[sharedSecrets]
	mu        sync.Mutex // serialises changes of current

	resyncing chan struct{} // holds one token while somebody asks Redis again
	resynced  time.Time     // guarded by the token
}

// sharedSecrets is immutable.
type sharedSecrets struct {
	texts []string // newest first
	ring  keyring
}

// ring returns the keys, asking Redis only if a shared secret is not known yet.
func (x *secrets) ring(ctx context.Context, s *Store) (keyring, error) {
	if x.given != nil {
		return x.given, nil
	}
	if current := x.current.Load(); current != nil {
		return current.ring, nil
	}
	return x.sync(ctx, s)
}

// resync looks whether the shared secret in Redis is still the known one: Redis may have been restarted without
// its data, and another instance may have made a new secret before this one put the old one back. One request
// asks, and those that come meanwhile wait for what it learns.
func (x *secrets) resync(ctx context.Context, s *Store) (keyring, error) {
	if x.given != nil {
		return x.given, nil
	}
	select {
	case x.resyncing <- struct{}{}:
		defer func() { <-x.resyncing }()
	case <-ctx.Done():
		return nil, classify(ctx.Err())
	}
	if time.Since(x.resynced) < resyncEvery {
		return x.ring(ctx, s)
	}
	ring, err := x.sync(ctx, s)
	if err == nil {
		x.resynced = time.Now()
	}
	return ring, err
}

// sync makes sure that there is a shared secret in Redis, and takes it. The key has no time to live: it is the
// only one without.
func (x *secrets) sync(ctx context.Context, s *Store) (keyring, error) {
	proposal := rand.Text() + rand.Text() // 260 bits
	if current := x.current.Load(); current != nil {
		proposal = current.texts[0]
	}
	text, err := do(ctx, s, func() (string, error) {
		if err := s.rdb.SetNX(ctx, x.sharedKey, proposal, 0).Err(); err != nil {
			return "", err
		}
		return s.rdb.Get(ctx, x.sharedKey).Result()
	})
	switch {
	case errors.Is(err, ErrCorrupt):
		return nil, fmt.Errorf("%w: another type lies under the key of the shared secret", ErrUnavailable)
	case err != nil:
		return nil, fmt.Errorf("shared secret: %w", err)
	case len(text) < MinKeyBytes:
		return nil, fmt.Errorf("%w: the shared secret is shorter than %d bytes", ErrUnavailable, MinKeyBytes)
	}
	return x.take(text), nil
}

// take makes text the secret that signs. Those before it go on verifying.
func (x *secrets) take(text string) keyring {
	x.mu.Lock()
	defer x.mu.Unlock()
	texts := []string{text}
	if current := x.current.Load(); current != nil {
		if current.texts[0] == text {
			return current.ring
		}
		for _, old := range current.texts {
			if old != text && len(texts) < maxShared {
				texts = append(texts, old)
			}
		}
	}
	keys := make([][]byte, len(texts))
	for i := range texts {
		keys[i] = []byte(texts[i])
	}
	current := &sharedSecrets{texts: texts, ring: newKeyring(keys)}
	x.current.Store(current)
	return current.ring
}

// id returns the session id in the request's cookies, "" if none is validly signed.
func (x *secrets) id(ctx context.Context, s *Store, r *http.Request, name string) (string, error) {
	candidates := r.CookiesNamed(name)
	if len(candidates) == 0 {
		return "", nil
	}
	ring, err := x.ring(ctx, s)
	if err != nil {
		return "", err
	}
	if id, ok := ring.first(name, candidates); ok {
		return id, nil
	}
	if x.given != nil {
		return "", nil
	}
	if ring, err = x.resync(ctx, s); err != nil {
		return "", err
	}
	id, _ := ring.first(name, candidates)
	return id, nil
}

// sign returns the cookie value for a session id.
func (x *secrets) sign(ctx context.Context, s *Store, name, id string) (string, error) {
	ring, err := x.ring(ctx, s)
	if err != nil {
		return "", err
	}
	return ring[0].sign(name, id), nil
}
