package e2e

import (
	"testing"

	"visit-counter/internal/redistest"
)

func TestMovingASlotOfAClusterIsNotNoticed(t *testing.T) {
	t.Parallel()
	c := redistest.StartProxiedCluster(t, 2)
	i := start(t, "REDIS_URL=redis://"+c.Addrs()[0], "REDIS_CLUSTER=true")
	y := newTally(t, i.url)
	y.visit()
	key := "visits:session:" + y.id()
	from := c.MasterOf(key)
	to := c.Nodes[0]
	if to == from {
		to = c.Nodes[1]
	}
	y.during(func() {
		y.acknowledged(20)
		m := c.Migrate(key, to)
		y.acknowledged(20)
		m.MoveKeys(100)
		y.acknowledged(20) // From answers ASK
		if to.Proxy.Seen("asking") == 0 {
			t.Error("the visits were not asked of the node that the slot moves to")
		}
		m.Finish()
		y.acknowledged(20) // From answers MOVED
	})
	y.prove("a slot moves under load", 0)
	y.lostNone()
}

func TestAnswersLostInAClusterCountOnce(t *testing.T) {
	t.Parallel()
	c := redistest.StartProxiedCluster(t, 2)
	i := start(t, "REDIS_URL="+c.URL())
	y := newTally(t, i.url)
	y.visit()
	master := c.MasterOf("visits:session:" + y.id())
	for range 5 {
		master.Proxy.Next(3, redistest.Named("evalsha"), redistest.Fate{Cut: true})
		y.storm(8)
	}
	master.Proxy.Next(1, redistest.Named("evalsha"), redistest.Fate{Mute: true})
	y.storm(8)
	if got := master.Proxy.Affected(); got != 16 {
		t.Errorf("%d answers were lost, want 16", got)
	}
	master.Proxy.Heal()
	y.prove("answers lost in a Cluster", 0)
	y.lostNone()
}

func TestCountGoesOnOverAFailoverOfACluster(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, 3, 3)
	i := start(t, "REDIS_URL="+c.URL())
	y := newTally(t, i.url)
	y.visit()
	key := "visits:session:" + y.id()
	old := c.MasterOf(key)
	for n, cut := range []struct {
		name  string
		begin func(t *testing.T, n *redistest.Node)
	}{
		{"a master of a Cluster killed", func(_ *testing.T, n *redistest.Node) { n.Kill() }},
		{"a master of a Cluster hung", func(t *testing.T, n *redistest.Node) { pause(t, n.Server) }},
	} {
		y.storm(50)
		copied(t, redistest.Client(t, old))
		cut.begin(t, old)
		y.failover(cut.name, i, n+1, func() { old = c.MasterOf(key) })
	}
}
