package redistest

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"visit-counter/internal/redisserver"
)

// SentinelName is the name by which Sentinel knows the master.
const SentinelName = "visits"

const sentinels = 3

// Sentinel is a master and a replica that three real Sentinels watch, two of which must agree on a failure.
// Its methods fail the test when what they wait for does not happen.
type Sentinel struct {
	Servers   []*redisserver.Server // at first the master, then the replica
	Sentinels []*redisserver.Server
	clients   map[*redisserver.Server]*redis.Client
	t         testing.TB
}

// StartSentinel returns when the replica is in sync and the Sentinels know it and each other. A master that
// fails is replaced after two to five seconds. The servers keep their data over Kill and Restart.
func StartSentinel(t testing.TB) *Sentinel {
	t.Helper()
	s := &Sentinel{t: t, clients: map[*redisserver.Server]*redis.Client{}}
	noDelay := Config("repl-diskless-sync-delay 0")
	master := s.start(AppendOnly(), noDelay)
	replicaOf := fmt.Sprintf("replicaof 127.0.0.1 %d", port(t, master.Addr()))
	replica := s.start(AppendOnly(), noDelay, Config(replicaOf))
	s.Servers = []*redisserver.Server{master, replica}
	Wait(t, "the replica to be in sync", func() bool {
		return strings.Contains(s.info(replica), "master_link_status:up")
	})
	for range sentinels {
		s.Sentinels = append(s.Sentinels, s.start(sentinelMode(port(t, master.Addr()))))
	}
	Wait(t, "the Sentinels to know each other", func() bool {
		for _, sentinel := range s.Sentinels {
			if !s.ready(sentinel) {
				return false
			}
		}
		return true
	})
	return s
}

func (s *Sentinel) start(opts ...Option) *redisserver.Server {
	s.t.Helper()
	server := Start(s.t, opts...)
	s.clients[server] = Client(s.t, server)
	return server
}

func sentinelMode(masterPort int) Option {
	return func(o *redisserver.Options) {
		o.Args = []string{"--sentinel"}
		o.Config = []string{
			fmt.Sprintf("sentinel monitor %s 127.0.0.1 %d %d", SentinelName, masterPort, sentinels/2+1),
			"sentinel down-after-milliseconds " + SentinelName + " 1000",
			"sentinel failover-timeout " + SentinelName + " 3000",
		}
	}
}

func (s *Sentinel) addrs() (addrs []string) {
	for _, sentinel := range s.Sentinels {
		addrs = append(addrs, sentinel.Addr())
	}
	return addrs
}

// URL returns the addresses of the Sentinels as one URL, as go-redis' ParseFailoverURL reads it.
func (s *Sentinel) URL() string {
	addrs := s.addrs()
	return "redis://" + addrs[0] + "?master_name=" + SentinelName + "&addr=" + strings.Join(addrs[1:], "&addr=")
}

// Client returns a client of the present master, whichever that is, with which a test looks at its data.
func (s *Sentinel) Client() *redis.Client {
	client := redis.NewFailoverClient(&redis.FailoverOptions{
		MasterName:            SentinelName,
		SentinelAddrs:         s.addrs(),
		ContextTimeoutEnabled: true,
		DisableIdentity:       true,
	})
	s.t.Cleanup(func() { _ = client.Close() }) // the test may have closed it
	return client
}

// Master returns the server that all Sentinels that answer call the master, as soon as it answers as one. So,
// after its Kill or Pause, it waits for the failover and returns the promoted server.
func (s *Sentinel) Master() (master *redisserver.Server) {
	s.t.Helper()
	Wait(s.t, "a master", func() bool {
		master = s.agreedMaster()
		return master != nil
	})
	return master
}

// Replica returns the server that is not the Master. It may be down.
func (s *Sentinel) Replica() *redisserver.Server {
	s.t.Helper()
	if s.Master() == s.Servers[0] {
		return s.Servers[1]
	}
	return s.Servers[0]
}

func (s *Sentinel) agreedMaster() *redisserver.Server {
	named := map[string]bool{}
	for _, sentinel := range s.Sentinels {
		if addr := s.masterAddr(sentinel); addr != "" {
			named[addr] = true
		}
	}
	for _, server := range s.Servers {
		if len(named) == 1 && named[server.Addr()] && strings.Contains(s.info(server), "role:master") {
			return server
		}
	}
	return nil
}

// masterAddr asks one Sentinel; it returns "" if there is no answer.
func (s *Sentinel) masterAddr(sentinel *redisserver.Server) string {
	if !sentinel.Running() {
		return ""
	}
	ctx, cancel := context.WithTimeout(context.Background(), viewTimeout)
	defer cancel()
	answer, err := s.clients[sentinel].Do(ctx, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", SentinelName).StringSlice()
	if err != nil || len(answer) != 2 {
		return ""
	}
	return answer[0] + ":" + answer[1]
}

// info asks a server about its replication; it returns "" if there is no answer.
func (s *Sentinel) info(server *redisserver.Server) string {
	if !server.Running() {
		return ""
	}
	ctx, cancel := context.WithTimeout(context.Background(), viewTimeout)
	defer cancel()
	return s.clients[server].Info(ctx, "replication").Val()
}

// ready reports whether a Sentinel knows all the others and the replica.
func (s *Sentinel) ready(sentinel *redisserver.Server) bool {
	ctx, cancel := context.WithTimeout(context.Background(), viewTimeout)
	defer cancel()
	info := s.clients[sentinel].Info(ctx, "sentinel").Val()
	return strings.Contains(info, fmt.Sprintf("status=ok,address=%s,slaves=1,sentinels=%d", s.Servers[0].Addr(), sentinels))
}
