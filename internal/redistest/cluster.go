package redistest

import (
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"visit-counter/internal/redisserver"
)

const (
	slots       = 16384
	busOffset   = 10_000 // from a node's port to that of the cluster bus
	nodeTimeout = "2000" // milliseconds until a silent node counts as failed
)

// Cluster is a real Redis Cluster. Its methods fail the test when what they wait for does not happen.
type Cluster struct {
	Nodes []*Node // the masters first, then their replicas
	t     testing.TB
}

// Node is one server of a Cluster: Kill, Pause and Restart it as any other.
type Node struct {
	*redisserver.Server
	ID     string
	Proxy  *Proxy // nil unless made by StartProxiedCluster
	client *redis.Client
}

// StartCluster runs a cluster with so many masters, each with so many replicas, and returns when all nodes
// agree that it works. A master that fails is replaced after three to five seconds. Nodes keep their data
// over Kill and Restart.
func StartCluster(t testing.TB, masters, replicasEach int) *Cluster {
	t.Helper()
	return startCluster(t, masters, replicasEach, false)
}

// StartProxiedCluster is StartCluster with a Proxy in front of each node: the nodes tell clients to connect
// there. Replicas reach their master through its proxy, too; what nodes say to each other passes by it.
func StartProxiedCluster(t testing.TB, masters, replicasEach int) *Cluster {
	t.Helper()
	return startCluster(t, masters, replicasEach, true)
}

func startCluster(t testing.TB, masters, replicasEach int, proxied bool) *Cluster {
	t.Helper()
	c := &Cluster{t: t}
	for i := range masters * (1 + replicasEach) {
		n := startNode(t, proxied)
		do(t, n.client, "CLUSTER", "SET-CONFIG-EPOCH", i+1)
		c.Nodes = append(c.Nodes, n)
	}
	for i, n := range c.Nodes[:masters] {
		do(t, n.client, "CLUSTER", "ADDSLOTSRANGE", i*slots/masters, (i+1)*slots/masters-1)
	}
	for _, n := range c.Nodes[1:] {
		do(t, c.Nodes[0].client, "CLUSTER", "MEET", "127.0.0.1", port(t, n.announced()), port(t, n.Addr())+busOffset)
	}
	Wait(t, "all cluster nodes to know each other", func() bool {
		return c.all(func(v view) bool { return len(v.lines) == len(c.Nodes) && !v.handshake() })
	})
	for i, n := range c.Nodes[masters:] {
		do(t, n.client, "CLUSTER", "REPLICATE", c.Nodes[i%masters].ID)
	}
	Wait(t, "the cluster to be ready", func() bool {
		return c.all(func(v view) bool { return v.working && v.replicas() == masters*replicasEach })
	})
	return c
}

func startNode(t testing.TB, proxied bool) *Node {
	t.Helper()
	n := &Node{Server: Start(t, AppendOnly(), Config(
		"cluster-enabled yes",
		"cluster-announce-ip 127.0.0.1",
		"cluster-node-timeout "+nodeTimeout,
		"repl-diskless-sync-delay 0",
	))}
	n.client = Client(t, n.Server)
	if proxied {
		n.Proxy = NewProxy(t, n.Server)
		do(t, n.client, "CONFIG", "SET", "cluster-announce-port", port(t, n.Proxy.Addr()))
		do(t, n.client, "CONFIG", "REWRITE") // so that it survives Restart
	}
	n.ID = do(t, n.client, "CLUSTER", "MYID").(string)
	return n
}

// announced is where the cluster's clients find the node.
func (n *Node) announced() string {
	if n.Proxy != nil {
		return n.Proxy.Addr()
	}
	return n.Addr()
}

// Addrs returns where clients find the nodes.
func (c *Cluster) Addrs() []string {
	var addrs []string
	for _, n := range c.Nodes {
		addrs = append(addrs, n.announced())
	}
	return addrs
}

// URL returns the addresses of all nodes as one URL, as go-redis' ParseClusterURL reads it.
func (c *Cluster) URL() string {
	addrs := c.Addrs()
	return "redis://" + addrs[0] + "?addr=" + strings.Join(addrs[1:], "&addr=")
}

// Client returns a cluster client with which a test looks at its data.
func (c *Cluster) Client() *redis.ClusterClient {
	client := redis.NewClusterClient(&redis.ClusterOptions{
		Addrs:                      c.Addrs(),
		ContextTimeoutEnabled:      true,
		ClusterStateReloadInterval: time.Second,
		DisableIdentity:            true,
	})
	c.t.Cleanup(func() { _ = client.Close() }) // the test may have closed it
	return client
}

// MasterOf returns the master of a key's slot, as soon as every node that answers finds the cluster working
// and names the same one, and that one answers. So, after its Kill or Pause, it waits for the failover and
// returns the new master.
func (c *Cluster) MasterOf(key string) (master *Node) {
	c.t.Helper()
	slot := c.slot(key)
	Wait(c.t, "a master of slot "+strconv.Itoa(slot), func() bool {
		master = agreedMaster(c.views(), slot)
		return master != nil
	})
	return master
}

// ReplicasOf returns the replicas of a master, as it sees them.
func (c *Cluster) ReplicasOf(master *Node) []*Node {
	c.t.Helper()
	v, err := master.view()
	if err != nil {
		c.t.Fatalf("cluster node: %v", err)
	}
	var replicas []*Node
	for _, n := range c.Nodes {
		if v.masterOf(n.ID) == master.ID {
			replicas = append(replicas, n)
		}
	}
	return replicas
}

// slot asks any node that answers for the slot of a key.
func (c *Cluster) slot(key string) (slot int) {
	c.t.Helper()
	Wait(c.t, "any cluster node", func() bool {
		views := c.views()
		if len(views) == 0 {
			return false
		}
		n, err := views[0].node.client.ClusterKeySlot(c.t.Context(), key).Result()
		slot = int(n)
		return err == nil
	})
	return slot
}

// views returns what the nodes that answer see.
func (c *Cluster) views() []view {
	var views []view
	for _, n := range c.Nodes {
		if v, err := n.view(); err == nil {
			views = append(views, v)
		}
	}
	return views
}

// all reports whether all nodes answer with a view that is good.
func (c *Cluster) all(good func(view) bool) bool {
	views := c.views()
	for _, v := range views {
		if !good(v) {
			return false
		}
	}
	return len(views) == len(c.Nodes)
}

// do runs a command that must work.
func do(t testing.TB, client *redis.Client, args ...any) any {
	t.Helper()
	answer, err := client.Do(t.Context(), args...).Result()
	if err != nil {
		t.Fatalf("%v: %v", args[:2], err)
	}
	return answer
}

func port(t testing.TB, addr string) int {
	t.Helper()
	_, text, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
