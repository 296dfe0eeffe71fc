package redistest

import (
	"context"
	"errors"
	"net"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"visit-counter/internal/redisserver"
)

const (
	slots          = 16384
	nodeTimeout    = "2000"                 // milliseconds until a silent node counts as failed
	askTimeout     = 500 * time.Millisecond // for one server to report its state
	migrateTimeout = 5 * time.Second        // for one key
)

// Cluster is a real Redis Cluster. Its methods fail the test if they wait for something that does not happen.
type Cluster struct {
	Nodes []*Node // the masters first, then their replicas
	t     testing.TB
}

// Node is one server of a Cluster or of a Sentinel: Kill, Pause and Restart it like any other server.
type Node struct {
	*redisserver.Server
	Proxy  *Proxy // nil unless made by StartProxiedCluster
	id     string // in a Cluster
	client *redis.Client
}

func newNode(t testing.TB, options redisserver.Options) *Node {
	t.Helper()
	server := StartWith(t, options)
	return &Node{Server: server, client: Client(t, server)}
}

// StartCluster runs a cluster with that many masters, each with that many replicas, and returns when all nodes agree that
// it works. A failover takes three to five seconds. Nodes keep their data across Kill and Restart.
func StartCluster(t testing.TB, masters, replicasEach int) *Cluster {
	t.Helper()
	c := &Cluster{t: t}
	for range masters * (1 + replicasEach) {
		c.Nodes = append(c.Nodes, newClusterNode(t))
	}
	c.join(masters)
	return c
}

// StartProxiedCluster is like StartCluster, without replicas and with a Proxy in front of each node. The nodes announce the
// proxies' addresses to clients. Traffic between nodes bypasses the proxies.
func StartProxiedCluster(t testing.TB, masters int) *Cluster {
	t.Helper()
	c := &Cluster{t: t}
	for range masters {
		n := newClusterNode(t)
		n.Proxy = NewProxy(t, n.Server)
		Must(t, n.client.ConfigSet(t.Context(), "cluster-announce-port", port(n.Proxy.Addr())).Err())
		Must(t, n.client.ConfigRewrite(t.Context()).Err()) // so that it survives Restart
		c.Nodes = append(c.Nodes, n)
	}
	c.join(masters)
	return c
}

func newClusterNode(t testing.TB) *Node {
	t.Helper()
	n := newNode(t, redisserver.Options{AppendOnly: true, Config: []string{
		"cluster-enabled yes",
		"cluster-announce-ip 127.0.0.1",
		"cluster-node-timeout " + nodeTimeout,
		"repl-diskless-sync-delay 0",
		"repl-ping-replica-period 1", // a replica counts as online after its master's first ping
	}})
	id, err := n.client.ClusterMyID(t.Context()).Result()
	Must(t, err)
	n.id = id
	return n
}

// join makes the nodes one cluster, and waits until all of them see it complete.
func (c *Cluster) join(masters int) {
	c.t.Helper()
	ctx := c.t.Context()
	for i, n := range c.Nodes {
		Must(c.t, n.client.Do(ctx, "CLUSTER", "SET-CONFIG-EPOCH", i+1).Err()) // must be unique
	}
	for i, n := range c.Nodes[:masters] {
		Must(c.t, n.client.ClusterAddSlotsRange(ctx, i*slots/masters, (i+1)*slots/masters-1).Err())
	}
	for _, n := range c.Nodes[1:] {
		Must(c.t, c.Nodes[0].client.ClusterMeet(ctx, "127.0.0.1", port(n.Addr())).Err())
	}
	for i, n := range c.Nodes[masters:] {
		Wait(c.t, "a replica to know its master", func() bool {
			return n.client.ClusterReplicate(ctx, c.Nodes[i%masters].id).Err() == nil
		})
	}
	Wait(c.t, "the cluster to be ready", func() bool {
		return !slices.ContainsFunc(c.Nodes, func(n *Node) bool { return !c.completeFor(n, masters) })
	})
}

// completeFor reports whether a node sees the cluster working, with that many masters and with all nodes online at the
// addresses that clients use.
func (c *Cluster) completeFor(n *Node, masters int) bool {
	ctx, cancel := context.WithTimeout(context.Background(), askTimeout)
	defer cancel()
	shards, err := n.shards(ctx)
	if err != nil || len(shards) != masters {
		return false
	}
	var addrs []string
	for _, shard := range shards {
		for _, node := range shard.Nodes {
			if node.Health == "online" { // it is "loading" while a replica has no data
				addrs = append(addrs, net.JoinHostPort(node.IP, strconv.FormatInt(node.Port, 10)))
			}
		}
	}
	want := c.Addrs()
	slices.Sort(addrs)
	slices.Sort(want)
	return slices.Equal(addrs, want)
}

// shards asks the node for the masters, their replicas and their slots. It returns nil while the node sees the cluster as
// down, and an error if the node does not answer.
func (n *Node) shards(ctx context.Context) ([]redis.ClusterShard, error) {
	if !n.Running() {
		return nil, errors.New("it is down")
	}
	info, err := n.client.ClusterInfo(ctx).Result()
	if err != nil || !strings.Contains(info, "cluster_state:ok") {
		return nil, err
	}
	return n.client.ClusterShards(ctx).Result()
}

// Addrs returns the addresses at which clients reach the nodes.
func (c *Cluster) Addrs() []string {
	var addrs []string
	for _, n := range c.Nodes {
		if n.Proxy != nil {
			addrs = append(addrs, n.Proxy.Addr())
		} else {
			addrs = append(addrs, n.Addr())
		}
	}
	return addrs
}

// URL returns the addresses of all nodes as one URL, as go-redis' ParseClusterURL reads it.
func (c *Cluster) URL() string {
	addrs := c.Addrs()
	return "redis://" + addrs[0] + "?addr=" + strings.Join(addrs[1:], "&addr=")
}

// MasterOf returns the master of a key's slot as soon as every node that answers sees the cluster working and names the
// same master, and that master answers. After a Kill or Pause of the master it therefore waits for the failover and returns
// the new one.
func (c *Cluster) MasterOf(key string) (master *Node) {
	c.t.Helper()
	Wait(c.t, "a master of "+key, func() bool {
		master = c.agreedMaster(key)
		return master != nil
	})
	return master
}

// agreedMaster returns the key's master if all nodes that answer agree on it, and it is one of them.
func (c *Cluster) agreedMaster(key string) (master *Node) {
	named := map[string]bool{}
	for _, n := range c.Nodes {
		if id, err := n.masterOf(key); err == nil {
			named[id] = true
			if id == n.id {
				master = n
			}
		}
	}
	if len(named) != 1 {
		return nil
	}
	return master
}

// masterOf asks the node for the id of the key's master, which is "" while the node sees the cluster as down.
func (n *Node) masterOf(key string) (id string, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), askTimeout)
	defer cancel()
	shards, err := n.shards(ctx)
	if err != nil {
		return "", err
	}
	slot, err := n.client.ClusterKeySlot(ctx, key).Result()
	if err != nil {
		return "", err
	}
	for _, shard := range shards {
		if !slices.ContainsFunc(shard.Slots, func(r redis.SlotRange) bool { return r.Start <= slot && slot <= r.End }) {
			continue
		}
		for _, node := range shard.Nodes {
			if node.Role == "master" {
				return node.ID, nil
			}
		}
	}
	return "", nil
}

// port returns the port of an address.
func port(addr string) string {
	_, port, _ := net.SplitHostPort(addr)
	return port
}
