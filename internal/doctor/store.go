package doctor

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/redis/go-redis/v9"

	"visit-counter/redisstore"
)

const (
	cookie   = "doctor"
	counter  = "visits"
	lifetime = time.Minute // of what is written, should it not be removed
	// attemptsPerNode bounds how many sessions are made until each node of a Cluster has had one.
	attemptsPerNode = 20
	// mostSkew is how far two clocks may be apart without a word.
	mostSkew = 30 * time.Second
)

// sharedSecret tells with what the cookies are signed.
func (d *doctor) sharedSecret(ctx context.Context, client redis.UniversalClient) {
	const check = "secret"
	if n := len(d.cfg.SessionSecrets); n > 0 {
		d.pass(check, "", "SESSION_SECRET: the first of %d signs the cookies", n)
		return
	}
	secret, err := ask(ctx, d, func(ctx context.Context) (string, error) {
		return client.Get(ctx, d.cfg.KeyPrefix+"secret").Result()
	})
	switch {
	case errors.Is(err, redis.Nil):
		d.pass(check, "", "none yet: the first instance makes one and shares it with the others through Redis")
	case err != nil:
		message, fix := explain(err)
		d.fail(check, "", message, fix+"; or set SESSION_SECRET")
	case len(secret) < redisstore.MinKeyBytes:
		d.fail(check, "", "the shared secret in Redis is too short to be ours", "DEL "+d.cfg.KeyPrefix+"secret, or set SESSION_SECRET")
	default:
		d.pass(check, "", "the instances share a random one in Redis")
	}
}

// roundTrip counts a visit as an instance would and removes it, in each node.
func (d *doctor) roundTrip(ctx context.Context, client redis.UniversalClient, nodes []*node) {
	const check = "store"
	key := []byte(rand.Text() + rand.Text())
	store, err := redisstore.New(client, [][]byte{key}, redisstore.WithPrefix(d.cfg.KeyPrefix), redisstore.WithTTL(lifetime))
	if err != nil {
		d.fail(check, "", err.Error(), "correct KEY_PREFIX")
		return
	}
	if err := d.shares(ctx, client); err != nil {
		message, fix := explain(err)
		d.fail(check, "", message, fix)
		return
	}
	covered := make(map[string]time.Duration)
	for range attemptsPerNode * len(nodes) {
		v := &visitor{store: store, client: client, prefix: d.cfg.KeyPrefix}
		elapsed, err := v.counts(ctx, d)
		if err != nil {
			message, fix := explain(err)
			d.fail(check, "", message, fix)
			return
		}
		covered[v.node(ctx)] = elapsed
		if len(covered) == len(nodes) {
			break
		}
	}
	for node, elapsed := range covered {
		d.pass(check, node, "a visit was counted, found again and removed; it took %s", milliseconds(elapsed))
	}
}

// shares does what instances do to share a secret, with a key of its own.
func (d *doctor) shares(ctx context.Context, client redis.UniversalClient) error {
	key := d.cfg.KeyPrefix + "session:doctor-" + rand.Text()
	_, err := ask(ctx, d, func(ctx context.Context) (any, error) {
		return nil, errors.Join(
			client.SetNX(ctx, key, "doctor", lifetime).Err(),
			client.Get(ctx, key).Err(),
			client.Del(ctx, key).Err(),
		)
	})
	return err
}

// visitor is a browser that visits and starts over.
type visitor struct {
	store   *redisstore.Store
	client  redis.UniversalClient
	prefix  string
	cookies []*http.Cookie
	id      string
}

// counts visits twice, looks at what is stored, and starts over. It returns how long the second visit took.
func (v *visitor) counts(ctx context.Context, d *doctor) (elapsed time.Duration, err error) {
	defer func() {
		_, destroyErr := ask(context.WithoutCancel(ctx), d, v.startOver)
		err = errors.Join(err, destroyErr)
	}()
	for want := int64(1); want <= 2; want++ {
		began := time.Now()
		result, err := ask(ctx, d, v.visit)
		if err != nil {
			return 0, err
		}
		if result.Count != want {
			return 0, fmt.Errorf("visit %d was counted as %d", want, result.Count)
		}
		elapsed = time.Since(began)
	}
	_, err = ask(ctx, d, v.look)
	return elapsed, err
}

func (v *visitor) visit(ctx context.Context) (redisstore.Result, error) {
	w := answer{}
	r, err := v.request(ctx)
	if err != nil {
		return redisstore.Result{}, err
	}
	result, err := v.store.Increment(w, r, cookie, counter, 1)
	v.cookies = (&http.Response{Header: http.Header(w)}).Cookies()
	return result, err
}

// look loads the session without counting, and asks how long it lives.
func (v *visitor) look(ctx context.Context) (any, error) {
	r, err := v.request(ctx)
	if err != nil {
		return nil, err
	}
	session, err := v.store.Get(r, cookie)
	if err != nil {
		return nil, err
	}
	if session.Values[counter] != 2 {
		return nil, errors.New("the session is not found again")
	}
	v.id = session.ID
	lives, err := v.client.PTTL(ctx, v.key()).Result()
	if err == nil && (lives <= 0 || lives > lifetime) {
		err = errors.New("the session has no time to live")
	}
	return nil, err
}

func (v *visitor) startOver(ctx context.Context) (any, error) {
	if len(v.cookies) == 0 {
		return nil, nil // nothing was created
	}
	r, err := v.request(ctx)
	if err != nil {
		return nil, err
	}
	return nil, v.store.Destroy(answer{}, r, cookie)
}

func (v *visitor) key() string { return v.prefix + "session:" + v.id }

// node returns the address of the server that the session was in, "" if there is only one.
func (v *visitor) node(ctx context.Context) string {
	cluster, ok := v.client.(*redis.ClusterClient)
	if !ok {
		return ""
	}
	master, err := cluster.MasterForKey(ctx, v.key())
	if err != nil {
		return ""
	}
	return master.Options().Addr
}

func (v *visitor) request(ctx context.Context) (*http.Request, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "/", http.NoBody)
	if err != nil {
		return nil, err
	}
	for _, c := range v.cookies {
		r.AddCookie(c)
	}
	return r, nil
}

// answer is an answer of which only the header matters.
type answer http.Header

func (a answer) Header() http.Header       { return http.Header(a) }
func (answer) Write(b []byte) (int, error) { return len(b), nil }
func (answer) WriteHeader(int)             {}

// clock compares the clock of Redis, by which sessions end, with ours.
func (d *doctor) clock(ctx context.Context, n *node) {
	const check = "clock"
	began := time.Now()
	theirs, err := ask(ctx, d, func(ctx context.Context) (time.Time, error) { return n.client.Time(ctx).Result() })
	if err != nil {
		return // the store's scripts need it, too: told already
	}
	skew := theirs.Sub(began.Add(time.Since(began) / 2)).Round(time.Millisecond)
	if skew.Abs() > mostSkew {
		d.warn(check, n.name, fmt.Sprintf("the clock of Redis is %s away from ours: times on the page are wrong by that much", skew.Abs()),
			"set both clocks (NTP)")
		return
	}
	d.pass(check, n.name, "the clocks are %s apart", skew.Abs())
}
