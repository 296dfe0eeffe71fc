package redistest

import (
	"context"
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"visit-counter/internal/redisserver"
)

// SentinelName is the name of the master in the Sentinels.
const SentinelName = "visits"

const sentinels = 3

// Sentinel is a master and a replica with three real Sentinels, two of which must agree on a failure. Its methods fail the
// test if they wait for something that does not happen.
type Sentinel struct {
	Sentinels []*redisserver.Server
	servers   []*redisserver.Server // at first the master, then the replica
	clients   map[*redisserver.Server]*redis.Client
	t         testing.TB
}

// StartSentinel returns when the replica is in sync and the Sentinels know it and each other. A failover takes two to five
// seconds. The servers keep their data across Kill and Restart.
func StartSentinel(t testing.TB) *Sentinel {
	t.Helper()
	s := &Sentinel{t: t, clients: map[*redisserver.Server]*redis.Client{}}
	replicated := redisserver.Options{AppendOnly: true, Config: []string{"repl-diskless-sync-delay 0"}}
	master := s.start(replicated)
	replicated.Config = append(replicated.Config, "replicaof 127.0.0.1 "+port(master.Addr()))
	replica := s.start(replicated)
	s.servers = []*redisserver.Server{master, replica}
	Wait(t, "the replica to be in sync", func() bool {
		return strings.Contains(s.info(replica, "replication"), "master_link_status:up")
	})
	for range sentinels {
		s.Sentinels = append(s.Sentinels, s.start(redisserver.Options{Args: []string{"--sentinel"}, Config: []string{
			fmt.Sprintf("sentinel monitor %s 127.0.0.1 %s %d", SentinelName, port(master.Addr()), sentinels/2+1),
			"sentinel down-after-milliseconds " + SentinelName + " 1000",
			"sentinel failover-timeout " + SentinelName + " 3000",
		}}))
	}
	all := fmt.Sprintf("status=ok,address=%s,slaves=1,sentinels=%d", master.Addr(), sentinels)
	for _, sentinel := range s.Sentinels {
		Wait(t, "a Sentinel to know the replica and the others", func() bool {
			return strings.Contains(s.info(sentinel, "sentinel"), all)
		})
	}
	return s
}

func (s *Sentinel) start(options redisserver.Options) *redisserver.Server {
	s.t.Helper()
	server := StartWith(s.t, options)
	s.clients[server] = Client(s.t, server)
	return server
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
func (s *Sentinel) Master() (master *redisserver.Server) {
	s.t.Helper()
	Wait(s.t, "a master", func() bool {
		master = s.agreedMaster()
		return master != nil
	})
	return master
}

// agreedMaster returns the server that all answering Sentinels name as the master, if it agrees; otherwise nil.
func (s *Sentinel) agreedMaster() *redisserver.Server {
	named := map[string]bool{}
	for _, sentinel := range s.Sentinels {
		if addr := s.masterAddr(sentinel); addr != "" {
			named[addr] = true
		}
	}
	for _, server := range s.servers {
		if len(named) == 1 && named[server.Addr()] && strings.Contains(s.info(server, "replication"), "role:master") {
			return server
		}
	}
	return nil
}

// masterAddr asks a Sentinel for the master's address. It returns "" if there is no answer.
func (s *Sentinel) masterAddr(sentinel *redisserver.Server) string {
	if !sentinel.Running() {
		return ""
	}
	ctx, cancel := context.WithTimeout(context.Background(), askTimeout)
	defer cancel()
	answer, err := s.clients[sentinel].Do(ctx, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", SentinelName).StringSlice()
	if err != nil {
		return ""
	}
	return net.JoinHostPort(answer[0], answer[1])
}

// info returns a section of a server's INFO, "" if there is no answer.
func (s *Sentinel) info(server *redisserver.Server, section string) string {
	if !server.Running() {
		return ""
	}
	ctx, cancel := context.WithTimeout(context.Background(), askTimeout)
	defer cancel()
	return s.clients[server].Info(ctx, section).Val()
}
