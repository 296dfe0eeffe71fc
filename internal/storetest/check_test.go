package storetest_test

import (
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"visit-counter/internal/redisserver"
	"visit-counter/internal/redistest"
	"visit-counter/redisstore"
)

func TestACheckLeavesNothingBehind(t *testing.T) {
	onBoth(t, func(t *testing.T, rdb *redis.Client) {
		must(t, newStore(t, rdb).Check(t.Context()))
		want(t, "keys", len(rdb.Keys(t.Context(), "*").Val()), 0)
		shared := newStoreWith(t, rdb, nil)
		must(t, shared.Check(t.Context()))
		want(t, "keys", len(rdb.Keys(t.Context(), "*").Val()), 0)
		b := &browser{t: t}
		want(t, "number", b.visit(shared), 1)
		must(t, shared.Check(t.Context()))
		want(t, "number", b.visit(shared), 2)
		want(t, "keys", rdb.DBSize(t.Context()).Val(), 2)
	})
}

// A check fails whenever a visit would, and with the same code.
func TestACheckAndAVisitAgree(t *testing.T) {
	for name, test := range map[string]struct {
		config []string // of the server
		rules  string   // of the user, on top of those that the store needs
		fault  string   // a command that causes it
		answer string   // to writes
		code   string   // "" if there is no fault
	}{
		"all is well":                 {},
		"no EVALSHA command":          {config: []string{`rename-command EVALSHA ""`}, code: "unknown command"},
		"no HSET command":             {config: []string{`rename-command HSET ""`}, code: "unknown command"},
		"no SET command":              {config: []string{`rename-command SET ""`}, code: "unknown command"},
		"no scripting":                {rules: "-@scripting", code: "NOPERM"},
		"no HSET":                     {rules: "-hset", code: "NOPERM"},
		"no keys":                     {rules: "resetkeys ~other:*", code: "NOPERM"},
		"a replica":                   {fault: "REPLICAOF 127.0.0.1 1", code: "READONLY"},
		"full":                        {fault: "CONFIG SET maxmemory 1", code: "OOM"},
		"too few replicas":            {fault: "CONFIG SET min-replicas-to-write 1", code: "NOREPLICAS"},
		"no disk":                     {answer: "-MISCONF Redis is configured to save RDB snapshots, but it's unable to persist to disk.", code: "MISCONF"},
		"a script that does not end":  {answer: "-BUSY Redis is busy running a script.", code: "BUSY"},
		"RENAME, which is not needed": {rules: "-rename"},
	} {
		t.Run(name, func(t *testing.T) {
			server := redistest.StartWith(t, redisserver.Options{Config: test.config})
			direct := redistest.Client(t, server)
			user, password := restricted(t, direct, redisstore.Rights+" "+test.rules)
			if test.fault != "" {
				redistest.Do(t, direct, test.fault)
			}
			proxy := redistest.NewProxy(t, server)
			if test.answer != "" {
				proxy.All(redistest.Writes, redistest.Fate{Answer: test.answer})
			}
			s := newStoreWith(t, clientWithoutRetries(t, proxy, func(o *redis.Options) { o.Username, o.Password = user, password }), nil)
			checked := s.Check(t.Context())
			_, visited := s.Session(newAnswer(), newRequest(t.Context()), cookieName).Increment("visits", 1)
			for what, err := range map[string]error{"check": checked, "visit": visited} {
				if test.code == "" {
					must(t, err)
					continue
				}
				wantError(t, err, redisstore.ErrUnavailable)
				if err != nil && !strings.HasSuffix(err.Error(), ": "+test.code) && test.code != "OOM" {
					t.Errorf("%s: %v, want the code %s", what, err, test.code)
				}
			}
		})
	}
}

// To a command as long as an increment Redis answers with a sentence that does not have the code.
func TestAMissingPasswordIsNamed(t *testing.T) {
	server := redistest.Start(t)
	redistest.Do(t, redistest.Client(t, server), "CONFIG SET requirepass hunter2")
	s := newStore(t, clientWithoutRetries(t, server))
	_, err := s.Session(newAnswer(), newRequest(t.Context()), cookieName).Increment("visits", 1)
	wantError(t, err, redisstore.ErrUnavailable)
	if err != nil && !strings.HasSuffix(err.Error(), ": NOAUTH") {
		t.Errorf("increment: %v, want the code NOAUTH", err)
	}
}

func TestACheckAsksTheWholeCluster(t *testing.T) {
	c := redistest.StartCluster(t, 3, 0)
	t.Run("as a Cluster", func(t *testing.T) {
		rdb := redis.NewClusterClient(&redis.ClusterOptions{Addrs: c.Addrs(), ContextTimeoutEnabled: true, MaxRedirects: 2})
		t.Cleanup(func() { must(t, rdb.Close()) })
		s := newStore(t, rdb)
		must(t, s.Check(t.Context()))
		for _, node := range c.Nodes {
			want(t, "keys", redistest.Client(t, node).DBSize(t.Context()).Val(), 0)
		}
		c.Nodes[2].Kill()
		for range 5 {
			wantError(t, s.Check(t.Context()), redisstore.ErrUnavailable)
		}
	})
	t.Run("as a single server", func(t *testing.T) {
		s := newStore(t, clientWithoutRetries(t, c.Nodes[0]))
		for range 20 {
			err := s.Check(t.Context())
			wantError(t, err, redisstore.ErrUnavailable)
			if err != nil && !strings.HasSuffix(err.Error(), ": MOVED") && !strings.HasSuffix(err.Error(), ": CLUSTERDOWN") {
				t.Errorf("check = %v", err)
			}
		}
	})
}
