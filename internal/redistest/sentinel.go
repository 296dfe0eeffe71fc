package redistest

import (
	"context"
	"fmt"
	"net"
	"strings"
	"testing"

	"visit-counter/internal/redisserver"
)

// SentinelName is the name of the master in the Sentinels.
const SentinelName = "visits"

const sentinels, replicas = 3, 2

// Sentinel is a master and two replicas with three real Sentinels, two of which must agree on a failure. Its methods fail the
// test if they wait for something that does not happen.
type Sentinel struct {
	Sentinels []*Node
	servers   []*Node // at first the master, then the replicas
	t         testing.TB
}

// StartSentinel returns when the replicas are in sync and the Sentinels know them and each other. A failover takes two to five
// seconds. The servers keep their data across Kill and Restart.
func StartSentinel(t testing.TB) *Sentinel {
	t.Helper()
	s := &Sentinel{t: t}
	replicated := redisserver.Options{AppendOnly: true, Config: []string{"repl-diskless-sync-delay 0"}}
	master := newNode(t, replicated)
	replicated.Config = append(replicated.Config, "replicaof 127.0.0.1 "+port(master.Addr()))
	s.servers = []*Node{master}
	for range replicas {
		replica := newNode(t, replicated)
		s.servers = append(s.servers, replica)
		Wait(t, "a replica to be in sync", func() bool {
			return strings.Contains(replica.info("replication"), "master_link_status:up")
		})
	}
	for range sentinels {
		s.Sentinels = append(s.Sentinels, newNode(t, redisserver.Options{Args: []string{"--sentinel"}, Config: []string{
			fmt.Sprintf("sentinel monitor %s 127.0.0.1 %s %d", SentinelName, port(master.Addr()), sentinels/2+1),
			"sentinel down-after-milliseconds " + SentinelName + " 1000",
			"sentinel failover-timeout " + SentinelName + " 3000",
		}}))
	}
	all := fmt.Sprintf("status=ok,address=%s,slaves=%d,sentinels=%d", master.Addr(), replicas, sentinels)
	for _, sentinel := range s.Sentinels {
		Wait(t, "a Sentinel to know the replicas and the others", func() bool {
			return strings.Contains(sentinel.info("sentinel"), all)
		})
	}
	return s
}

// URL returns the addresses of the Sentinels as one URL, as go-redis' ParseFailoverURL reads it.
func (s *Sentinel) URL() string {
	var addrs []string
	for _, sentinel := range s.Sentinels {
		addrs = append(addrs, sentinel.Addr())
	}
	return "redis://" + addrs[0] + "?master_name=" + SentinelName + "&addr=" + strings.Join(addrs[1:], "&addr=")
}

// Master returns the server that all answering Sentinels name as the master, as soon as it says so itself. After a Kill or
// Pause of the master it therefore waits for the failover and returns the promoted server.
func (s *Sentinel) Master() (master *Node) {
	s.t.Helper()
	Wait(s.t, "a master", func() bool {
		master = s.agreedMaster()
		return master != nil
	})
	return master
}

// agreedMaster returns the server that all answering Sentinels name as the master, if it agrees; otherwise nil.
func (s *Sentinel) agreedMaster() *Node {
	named := map[string]bool{}
	for _, sentinel := range s.Sentinels {
		if addr := sentinel.masterAddr(); addr != "" {
			named[addr] = true
		}
	}
	for _, server := range s.servers {
		if len(named) == 1 && named[server.Addr()] && strings.Contains(server.info("replication"), "role:master") {
			return server
		}
	}
	return nil
}

// masterAddr asks a Sentinel for the master's address. It returns "" if there is no answer.
func (n *Node) masterAddr() string {
	if !n.Running() {
		return ""
	}
	ctx, cancel := context.WithTimeout(context.Background(), askTimeout)
	defer cancel()
	answer, err := n.client.Do(ctx, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", SentinelName).StringSlice()
	if err != nil {
		return ""
	}
	return net.JoinHostPort(answer[0], answer[1])
}

// info returns a section of a server's INFO, "" if there is no answer.
func (n *Node) info(section string) string {
	if !n.Running() {
		return ""
	}
	ctx, cancel := context.WithTimeout(context.Background(), askTimeout)
	defer cancel()
	return n.client.Info(ctx, section).Val()
}
