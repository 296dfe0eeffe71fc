package e2e

import (
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"visit-counter/internal/redisserver"
	"visit-counter/internal/redistest"
)

func TestCountGoesOnOverAFailoverBySentinel(t *testing.T) {
	t.Parallel()
	s := redistest.StartSentinel(t)
	i := start(t, "REDIS_URL="+s.URL())
	y := newTally(t, i.url)
	y.visit()
	old := s.Master()
	for n, cut := range []struct {
		name  string
		begin func(t *testing.T, server *redisserver.Server)
	}{
		{"a master under Sentinel killed", func(_ *testing.T, server *redisserver.Server) { server.Kill() }},
		{"a master under Sentinel hung", pause},
	} {
		y.storm(50)
		copied(t, redistest.Client(t, old))
		cut.begin(t, old)
		failed := old
		y.failover(cut.name, i, n+1, func() { old = s.Master() })
		if n == 0 {
			redistest.Restart(t, failed)
		}
	}
}

// failover visits until the new master that await waits for has taken over: what was acknowledged before is counted,
// and the app needs no restart and not much longer than Redis. The log has told n failovers then.
func (y *tally) failover(name string, i *instance, n int, await func()) {
	y.t.Helper()
	y.storm(atOnce)
	var back time.Duration
	y.during(func() {
		await()
		began := time.Now()
		y.acknowledged(1)
		back = time.Since(began)
		y.acknowledged(20)
	})
	y.prove(name, back)
	redistest.Wait(y.t, "the log to say that Redis is back", func() bool { return i.output.count("redis back") == n })
	if got := i.output.count("redis lost"); got != n {
		y.t.Errorf("the log says %d times that Redis was lost, want %d:\n%s", got, n, i.said())
	}
}

// copied waits until a replica has what its master has. Redis answers before that, so that what it acknowledged in the
// moment before it fails may be gone after a failover, whoever asks.
func copied(t testing.TB, master *redis.Client) {
	t.Helper()
	redistest.Wait(t, "a replica to have the data", func() bool {
		master.Ping(t.Context()) // WAIT waits for what there was at the connection's last command
		return master.Wait(t.Context(), 1, time.Second).Val() >= 1
	})
}

func pause(t *testing.T, server *redisserver.Server) {
	t.Helper()
	if err := server.Pause(); err != nil {
		t.Fatal(err)
	}
}
