package doctor

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/redis/go-redis/v9"

	"visit-counter/internal/redisfault"
	"visit-counter/redisstore"
)

const (
	cookie   = "doctor"
	counter  = "visits"
	lifetime = time.Minute // of the session, in case it is not removed
	// attemptsPerNode limits how many sessions doctor makes until each node of a Cluster has had one.
	attemptsPerNode = 20
	// maxSkew is the difference between two clocks above which doctor warns.
	maxSkew = 30 * time.Second
)

// secret says what signs the cookies.
func (d *doctor) secret(ctx context.Context) []Line {
	if n := len(d.cfg.SessionSecrets); n > 0 {
		return []Line{pass("SESSION_SECRET: the first of %d signs the cookies", n)}
	}
	ctx, cancel := d.limited(ctx)
	defer cancel()
	secret, err := d.client.Get(ctx, d.cfg.KeyPrefix+"secret").Result()
	switch {
	case errors.Is(err, redis.Nil):
		return []Line{pass("none yet: the first instance makes one and shares it with the others through Redis")}
	case err != nil:
		l := failed(err)
		l.Fix += " Or set SESSION_SECRET."
		return []Line{l}
	case len(secret) < redisstore.MinKeyBytes:
		return []Line{failed(redisfault.DamagedSecret)}
	}
	return []Line{pass("the instances share a random one in Redis")}
}

// store runs the check that an instance runs at its start, and counts and removes a visit on each node.
func (d *doctor) store(ctx context.Context) (lines []Line) {
	options := []redisstore.Option{
		redisstore.WithPrefix(d.cfg.KeyPrefix), redisstore.WithTTL(lifetime), redisstore.WithTimeout(d.limit()),
	}
	instances, err := redisstore.New(d.client, d.cfg.SessionSecrets, options...)
	if err != nil {
		return []Line{fail(err.Error(), "correct KEY_PREFIX or SESSION_SECRET")}
	}
	if err := instances.Check(ctx); err != nil {
		return []Line{failed(err)}
	}
	// It has its own key: no instance accepts its cookies, and it leaves no shared secret behind.
	own, err := redisstore.New(d.client, [][]byte{[]byte(rand.Text() + rand.Text())}, options...)
	if err != nil {
		return []Line{failed(err)}
	}
	covered := make(map[string]bool)
	for range attemptsPerNode * len(d.nodes) {
		id, elapsed, err := visit(ctx, own)
		if err != nil {
			return []Line{failed(err)}
		}
		if node := d.nodeOf(ctx, id); !covered[node] {
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

// visit counts two visits of a new session and removes it. It returns the session's id and how long the second took.
func visit(ctx context.Context, store *redisstore.Store) (id string, elapsed time.Duration, err error) {
	first, err := http.NewRequestWithContext(ctx, http.MethodGet, "/", http.NoBody)
	if err != nil {
		return "", 0, err
	}
	second := first.Clone(ctx)
	answered := make(answer)
	if _, err := store.Session(answered, first, cookie).Increment(counter, 1); err != nil {
		return "", 0, err
	}
	for _, c := range (&http.Response{Header: http.Header(answered)}).Cookies() {
		second.AddCookie(c)
	}
	session := store.Session(make(answer), second, cookie)
	began := time.Now()
	result, err := session.Increment(counter, 1)
	elapsed = time.Since(began)
	switch {
	case err != nil:
	case result.Count != 2:
		err = errors.New("the session is not found again")
	case result.ExpiresIn <= 0 || result.ExpiresIn > lifetime:
		err = errors.New("the session has no time to live")
	}
	loaded, loadErr := store.Get(second, cookie)
	id = loaded.ID // before it is destroyed
	return id, elapsed, errors.Join(err, loadErr, session.Destroy())
}

// nodeOf returns the address of the server that held a session, "" if there is only one server.
func (d *doctor) nodeOf(ctx context.Context, id string) string {
	cluster, ok := d.client.(*redis.ClusterClient)
	if !ok {
		return ""
	}
	master, err := cluster.MasterForKey(ctx, d.cfg.KeyPrefix+"session:"+id)
	if err != nil {
		return ""
	}
	return master.Options().Addr
}

// answer is an http.ResponseWriter that keeps only the header.
type answer http.Header

func (a answer) Header() http.Header       { return http.Header(a) }
func (answer) Write(b []byte) (int, error) { return len(b), nil }
func (answer) WriteHeader(int)             {}

// clock compares the clock of Redis, by which sessions end, with this machine's.
func (d *doctor) clock(_ context.Context, n *node) Line {
	switch {
	case !n.timed:
		return pass("%s; the check \"store\" above shows whether the store can read it", unknown)
	case n.skew.Abs() > maxSkew:
		return warn(fmt.Sprintf("the clock of Redis is %s off from this machine's: times on the page are wrong by that much", n.skew.Abs()), "set both clocks (NTP)")
	default:
		return pass("the clocks are %s apart", n.skew.Abs())
	}
}
