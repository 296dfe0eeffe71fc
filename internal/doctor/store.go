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
	// maxSkew is how far two clocks may be apart without a word.
	maxSkew = 30 * time.Second
)

// secret tells with what the cookies are signed.
func (d *doctor) secret(ctx context.Context) []Line {
	if n := len(d.cfg.SessionSecrets); n > 0 {
		return []Line{pass("SESSION_SECRET: the first of %d signs the cookies", n)}
	}
	secret, err := ask(ctx, d, func(ctx context.Context) (string, error) {
		return d.client.Get(ctx, d.cfg.KeyPrefix+"secret").Result()
	})
	switch {
	case errors.Is(err, redis.Nil):
		return []Line{pass("none yet: the first instance makes one and shares it with the others through Redis")}
	case err != nil:
		l := failed(err)
		l.Fix += " Or set SESSION_SECRET."
		return []Line{l}
	case len(secret) < redisstore.MinKeyBytes:
		return []Line{fail("the shared secret in Redis is too short to be ours", "DEL "+d.cfg.KeyPrefix+"secret, or set SESSION_SECRET")}
	}
	return []Line{pass("the instances share a random one in Redis")}
}

// store counts a visit as an instance would and removes it, in each node.
func (d *doctor) store(ctx context.Context) (lines []Line) {
	key := []byte(rand.Text() + rand.Text())
	store, err := redisstore.New(d.client, [][]byte{key}, redisstore.WithPrefix(d.cfg.KeyPrefix), redisstore.WithTTL(lifetime))
	if err != nil {
		return []Line{fail(err.Error(), "correct KEY_PREFIX")}
	}
	if err := d.shares(ctx, d.client); err != nil {
		return []Line{failed(err)}
	}
	covered := make(map[string]bool)
	for range attemptsPerNode * len(d.nodes) {
		v := &visitor{store: store, client: d.client, prefix: d.cfg.KeyPrefix}
		elapsed, err := v.counts(ctx, d)
		if err != nil {
			return []Line{failed(err)}
		}
		if node := v.node(ctx); !covered[node] {
			covered[node] = true
			l := pass("a visit was counted, found again and removed; it took %s", milliseconds(elapsed))
			l.Node = node
			lines = append(lines, l)
		}
		if len(covered) == len(d.nodes) {
			break
		}
	}
	return lines
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
	result, err := v.store.Session(w, r, cookie).Increment(counter, 1)
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
	return nil, v.store.Session(answer{}, r, cookie).Destroy()
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
func (d *doctor) clock(context.Context) []Line {
	switch n := d.nodes[0]; {
	case !n.timed: // the store's scripts need it, too: told already
		return nil
	case n.skew.Abs() > maxSkew:
		l := warn(fmt.Sprintf("the clock of Redis is %s away from ours: times on the page are wrong by that much", n.skew.Abs()), "set both clocks (NTP)")
		l.Node = n.name
		return []Line{l}
	default:
		l := pass("the clocks are %s apart", n.skew.Abs())
		l.Node = n.name
		return []Line{l}
	}
}
