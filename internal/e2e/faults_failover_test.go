package e2e

import (
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"visit-counter/internal/redistest"
)

func TestCountGoesOnOverAFailoverBySentinel(t *testing.T) {
	t.Parallel()
	s := redistest.StartSentinel(t)
	i := start(t, "REDIS_URL="+s.URL())
	tally := newTally(t, i.url)
	tally.visit()
	tally.failovers("Sentinel", i, s.Master)
}

func TestCountGoesOnOverAFailoverOfACluster(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, 3, 2)
	i := start(t, "REDIS_URL="+c.URL())
	tally := newTally(t, i.url)
	tally.visit()
	key := sessionKey(tally.visitor)
	tally.failovers("Cluster", i, func() *redistest.Node { return c.MasterOf(key) })
}

// failovers kills the master, starts it again, and freezes its successor. master waits until there is one, and returns it.
func (ta *tally) failovers(kind string, i *instance, master func() *redistest.Node) {
	ta.t.Helper()
	failed := master()
	ta.failover(kind+": the master is killed", i, failed, failed.Kill, master)
	redistest.Restart(ta.t, failed.Server)
	failed = master()
	ta.failover(kind+": the master hangs", i, failed, func() { must(ta.t, failed.Pause()) }, master)
}

// failover makes the master fail, and visits until another one has taken over. Acknowledged visits stay counted, the app needs
// no restart and recovers soon after Redis, and it logs the outage.
func (ta *tally) failover(name string, i *instance, failed *redistest.Node, fail func(), master func() *redistest.Node) {
	ta.t.Helper()
	ta.storm(50)
	awaitReplica(ta.t, redistest.Client(ta.t, failed))
	fail()
	before := i.output.count("redis back")
	ta.storm(atOnce)
	var back time.Duration
	ta.during(func() {
		master()
		began := time.Now()
		ta.await(1)
		back = time.Since(began)
		ta.await(20)
	})
	ta.check(name, back)
	redistest.Wait(ta.t, "the log to say that Redis was lost and is back", func() bool {
		return i.output.count("redis back") > before && i.output.count("redis back") == i.output.count("redis lost")
	})
}

// awaitReplica waits until a replica has the master's data. Redis acknowledges writes before that, so any client may lose
// the last ones in a failover.
func awaitReplica(t testing.TB, master *redis.Client) {
	t.Helper()
	redistest.Wait(t, "a replica to have the data", func() bool {
		master.Ping(t.Context()) // WAIT covers the writes up to the connection's last command
		return master.Wait(t.Context(), 1, time.Second).Val() >= 1
	})
}

// The app is configured with one node as a single server, and detects the Cluster.
func TestMovingASlotOfAClusterIsNotNoticed(t *testing.T) {
	t.Parallel()
	c := redistest.StartProxiedCluster(t, 2)
	i := start(t, "REDIS_URL=redis://"+c.Addrs()[0], longTimeout)
	tally := newTally(t, i.url)
	tally.visit()
	key := sessionKey(tally.visitor)
	tally.during(func() {
		tally.await(20)
		m := c.Migrate(key)
		tally.await(20)
		m.MoveKeys()
		tally.await(20) // the old master answers ASK
		if m.To.Proxy.Seen("asking") == 0 {
			t.Error("no visit reached the node that the slot moves to")
		}
		m.Finish()
		tally.await(20) // the old master answers MOVED
	})
	tally.checkExact("a slot moves under load")
	if lost := i.awaitRedis(t); lost > 0 {
		t.Errorf("the log says that Redis was lost:\n%s", i.output.withoutRequests())
	}
}

func TestAnswersLostInAClusterCountOnce(t *testing.T) {
	t.Parallel()
	c := redistest.StartProxiedCluster(t, 2)
	tally := newTally(t, start(t, "REDIS_URL="+c.URL(), longTimeout).url)
	tally.visit()
	master := c.MasterOf(sessionKey(tally.visitor))
	for range 5 {
		master.Proxy.Next(3, redistest.Scripts, redistest.Fate{Cut: true})
		tally.storm(8)
	}
	master.Proxy.Next(1, redistest.Scripts, redistest.Fate{Mute: true})
	tally.storm(8)
	if got := master.Proxy.Affected(); got != 16 {
		t.Errorf("%d answers were lost, want 16", got)
	}
	master.Proxy.Heal()
	tally.checkExact("answers lost in a Cluster")
}
