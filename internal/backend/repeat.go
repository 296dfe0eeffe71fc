package backend

import (
	"context"
	"crypto/tls"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/redis/go-redis/v9"
)

// The pauses between repetitions grow from the one to the other. They are random, so that what failed together does
// not come back together.
const (
	firstPause = 10 * time.Millisecond
	mostPause  = 80 * time.Millisecond
)

// errMaxClients is Redis' refusal of a connection, without the marks of a reply: go-redis takes a reply to its greeting
// for one of an old server, and would go on to meet a closed connection.
var errMaxClients = errors.New("ERR max number of clients reached")

// repeat tries again while an error is one that passes and at least half of ctx's time is left: so a short trouble is
// waited out, and the error of a long one is its own and not that of a deadline. Without a deadline it tries once. It
// does what go-redis would do, which also repeats the greeting, on connections that are closed. Repeating is safe
// because the store's commands are.
func repeat(ctx context.Context, try func() error) error {
	deadline, ok := ctx.Deadline()
	if !ok {
		return try()
	}
	last := deadline.Add(-time.Until(deadline) / 2)
	for pause := firstPause; ; pause = min(2*pause, mostPause) {
		err := try()
		wait := pause/2 + rand.N(pause) //nolint:gosec // a pause is no secret
		if !passes(err) || time.Now().Add(wait).After(last) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(wait):
		}
	}
}

// passes reports whether an error may be gone in a moment: everything that is no answer of Redis, but for a certificate
// that is refused, and the answers of a Redis that is about to become ready.
func passes(err error) bool {
	if err == nil { // before the variables below, which cost an allocation each
		return false
	}
	var (
		answer      redis.Error
		certificate *tls.CertificateVerificationError
	)
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded), errors.As(err, &certificate):
		return false
	case !errors.As(err, &answer):
		return true
	}
	return redis.IsLoadingError(err) || redis.IsReadOnlyError(err) || redis.IsMasterDownError(err) ||
		redis.IsClusterDownError(err) || redis.IsTryAgainError(err) || redis.IsMaxClientsError(err)
}
