package redistest_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"visit-counter/internal/redistest"
)

func TestClusterReplacesAMasterThatIsKilled(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, 3, 1)
	client := c.Client()
	must(t, client.Set(t.Context(), "k", "v", 0).Err())
	old := c.MasterOf("k")
	replicas := c.ReplicasOf(old)
	if len(replicas) != 1 {
		t.Fatalf("%d replicas, want 1", len(replicas))
	}
	awaitKey(t, replicas[0])
	old.Kill()
	promoted := c.MasterOf("k")
	if promoted != replicas[0] {
		t.Errorf("the new master is %s, want the replica %s", promoted.Addr(), replicas[0].Addr())
	}
	wantValue(t, redistest.Client(t, promoted), "k", "v")
	redistest.Restart(t, old.Server)
	redistest.Wait(t, "the old master to be a replica", func() bool {
		return len(c.ReplicasOf(promoted)) == 1 && c.MasterOf("k") == promoted
	})
}

func TestSlotMigrationShowsAskAndThenMoved(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, 3, 0)
	from := c.MasterOf("{tag}1")
	to := c.MasterOf("other")
	if to == from {
		t.Fatal("both keys are on one master: choose others")
	}
	direct, client := redistest.Client(t, from), c.Client()
	must(t, direct.Set(t.Context(), "{tag}1", "one", 0).Err())
	must(t, direct.Set(t.Context(), "{tag}2", "two", 0).Err())

	m := c.Migrate("{tag}1", to)
	wantValue(t, direct, "{tag}1", "one")
	if n := m.MoveKeys(1); n != 1 {
		t.Errorf("MoveKeys(1) = %d, want 1", n)
	}
	wantRedirect(t, direct, "{tag}3", "ASK")
	wantValue(t, client, "{tag}1", "one")
	wantValue(t, client, "{tag}2", "two")
	m.Finish()
	wantRedirect(t, direct, "{tag}1", "MOVED")
	wantValue(t, client, "{tag}2", "two")
	if got := c.MasterOf("{tag}1"); got != to {
		t.Errorf("the slot is at %s, want %s", got.Addr(), to.Addr())
	}
}

// wantRedirect checks that a node sends clients elsewhere for a key.
func wantRedirect(t *testing.T, c *redis.Client, key, kind string) {
	t.Helper()
	if err := c.Get(t.Context(), key).Err(); err == nil || !strings.HasPrefix(err.Error(), kind+" ") {
		t.Errorf("GET %s: %v, want %s", key, err, kind)
	}
}

func TestProxiedClusterIsReachedThroughItsProxies(t *testing.T) {
	t.Parallel()
	c := redistest.StartProxiedCluster(t, 3, 0)
	opts, err := redis.ParseClusterURL(c.URL())
	must(t, err)
	opts.MaxRedirects = -1
	client := redis.NewClusterClient(opts)
	defer client.Close()
	must(t, client.Set(t.Context(), "n", 0, 0).Err()) // now the client knows the way
	master := c.MasterOf("n")
	master.Proxy.DropNextReplies(1, redistest.Writes)
	if err := client.Incr(context.Background(), "n").Err(); !errors.Is(err, io.EOF) {
		t.Errorf("INCR whose reply is dropped: %v, want EOF", err)
	}
	wantValue(t, client, "n", "1")
	if master.Proxy.Affected() != 1 {
		t.Error("the command did not pass through the proxy of its master")
	}
}

func TestSentinelPromotesTheReplica(t *testing.T) {
	t.Parallel()
	s := redistest.StartSentinel(t)
	opts, err := redis.ParseFailoverURL(s.URL())
	must(t, err)
	client := redis.NewFailoverClient(opts)
	defer client.Close()
	must(t, client.Set(t.Context(), "k", "v", 0).Err())
	old, replica := s.Master(), s.Replica()
	awaitKey(t, replica)
	must(t, old.Pause())
	if promoted := s.Master(); promoted != replica {
		t.Errorf("the new master is %s, want the replica %s", promoted.Addr(), replica.Addr())
	}
	redistest.Wait(t, "the client to follow", func() bool {
		got, err := client.Get(t.Context(), "k").Result()
		return got == "v" && err == nil
	})
	wantValue(t, s.Client(), "k", "v")
}

// awaitKey waits until a replica has received the one key of its master.
func awaitKey(t *testing.T, replica redistest.Target) {
	t.Helper()
	c := redistest.Client(t, replica)
	redistest.Wait(t, "the replica to receive the key", func() bool { return c.DBSize(t.Context()).Val() == 1 })
}
