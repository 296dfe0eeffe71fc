package config

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"visit-counter/internal/redisserver"
	"visit-counter/internal/redistest"
)

// server is a real redis-server with a plain port and one for TLS.
type server struct {
	*redisserver.Server
	tls   string // 127.0.0.1:port
	admin *redis.Client
}

const adminPassword = "for-this-test-only"

// startServer starts redis-server with a certificate for the hosts. It ends with the test.
func startServer(t *testing.T, ca *redistest.CA, hosts []string, lines ...string) server {
	t.Helper()
	files := ca.Issue(t, hosts...)
	s := server{tls: redistest.ReservePort(t).Addr()}
	s.Server = redistest.StartWith(t, redisserver.Options{Config: append([]string{
		"tls-port " + port(s.tls), "tls-auth-clients no", "tls-ca-cert-file " + files.CAFile,
		"tls-cert-file " + files.CertFile, "tls-key-file " + files.KeyFile,
		"user admin on >" + adminPassword + " ~* &* +@all",
	}, lines...)})
	s.admin = redis.NewClient(&redis.Options{Addr: s.Addr(), Username: "admin", Password: adminPassword, DisableIdentity: true})
	t.Cleanup(func() { _ = s.admin.Close() })
	return s
}

// startSentinel starts a Sentinel that monitors the server under the name master. Its only user is user, with password;
// "" is the default user.
func startSentinel(t *testing.T, s server, master, user, password string) string {
	t.Helper()
	var lines []string
	if user == "" {
		user = "default"
	} else {
		lines = []string{"user default off"}
	}
	lines = append(lines,
		fmt.Sprintf("sentinel monitor %s 127.0.0.1 %s 1", master, port(s.Addr())),
		fmt.Sprintf("sentinel auth-user %s admin", master),
		fmt.Sprintf("sentinel auth-pass %s %s", master, adminPassword),
		fmt.Sprintf("user %s on >%s ~* &* +@all", user, password))
	sentinel := redistest.StartWith(t, redisserver.Options{Args: []string{"--sentinel"}, Config: lines})
	return sentinel.Addr()
}

func port(addr string) string { return addr[strings.LastIndex(addr, ":")+1:] }

// allow makes the server accept this user and the admin, and no other.
func (s server) allow(t *testing.T, user, password string) {
	t.Helper()
	secret := "nopass"
	if password != "" {
		secret = ">" + password
	}
	for _, change := range [][]string{{"default", "reset"}, {cmp.Or(user, "default"), "reset", "on", secret, "~*", "&*", "+@all"}} {
		if err := s.admin.ACLSetUser(t.Context(), change[0], change[1:]...).Err(); err != nil {
			t.Fatal(err)
		}
	}
}

// redirect sends connections to the fixture's hosts to this address of 127.0.0.1 instead. Everything else, TLS included,
// stays the same. It returns a function that returns the first address that was dialled.
func redirect(r Redis, addr string) (first func() string) {
	dialled := make(chan string, 1)
	r.Options.Dialer = func(ctx context.Context, network, wanted string) (net.Conn, error) {
		select {
		case dialled <- wanted:
		default:
		}
		if !strings.HasPrefix(wanted, "127.0.0.1:") {
			wanted = addr
		}
		return new(net.Dialer).DialContext(ctx, network, wanted)
	}
	return func() string { return <-dialled }
}

// TestEachBrokersRedisAnswersAndSeesTheRightUserDatabaseAndTransport asks a real redis-server.
func TestEachBrokersRedisAnswersAndSeesTheRightUserDatabaseAndTransport(t *testing.T) {
	authority := redistest.NewCA(t)
	fixtures := readFixtures(t, authority.PEM)
	var hosts []string
	for _, f := range fixtures {
		for _, addr := range f.Want.Addrs {
			host, _, err := net.SplitHostPort(addr)
			if err != nil {
				t.Fatal(err)
			}
			hosts = append(hosts, host)
		}
	}
	single := startServer(t, authority, hosts)
	cluster := startServer(t, authority, hosts, "cluster-enabled yes")
	if err := cluster.admin.ClusterAddSlotsRange(t.Context(), 0, 16383).Err(); err != nil {
		t.Fatal(err)
	}
	redistest.Wait(t, "the Cluster to be ready", func() bool { return cluster.admin.Set(t.Context(), "ready", 1, 0).Err() == nil })

	for _, f := range fixtures {
		t.Run(f.name, func(t *testing.T) {
			s := single
			if f.Want.Mode == "cluster" {
				s = cluster
			}
			form := "VCAP_SERVICES"
			if f.Services == nil {
				form = "variable"
			}
			f.prove(t, load(t, f.environments(t)[form]).Redis, s, authority)
		})
	}
}

func TestASilentRedisCostsNoMoreThanREDIS_TIMEOUTOrTheDeadlineOfTheCall(t *testing.T) {
	p := redistest.NewProxy(t, redistest.Start(t))
	p.All(redistest.Any, redistest.Fate{Mute: true})
	for name, tt := range map[string]struct {
		timeout  string
		callers  int
		deadline time.Duration
		max      time.Duration
	}{
		"the timeout, for more callers than connections": {"500ms", 120, 500 * time.Millisecond, 700 * time.Millisecond},
		"an earlier deadline":                            {"10s", 1, 100 * time.Millisecond, 2 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			client := load(t, environment(map[string]string{"REDIS_URL": p.URL(), "REDIS_TIMEOUT": tt.timeout}, nil)).Redis.Client()
			defer func() { _ = client.Close() }()
			var callers sync.WaitGroup
			for range tt.callers {
				callers.Go(func() {
					ctx, cancel := context.WithTimeout(t.Context(), tt.deadline)
					defer cancel()
					begin := time.Now()
					err := client.Ping(ctx).Err()
					if took := time.Since(begin); err == nil || took > tt.max {
						t.Errorf("Ping() = %v after %s; want an error within %s", err, took, tt.max)
					}
				})
			}
			callers.Wait()
		})
	}
}

func TestClientIsOfTheKindThatTheAddressAsksFor(t *testing.T) {
	for url, want := range map[string]string{
		"redis://one:1/2":             "*redis.Client tcp one:1",
		"unix:///run/redis.sock":      "*redis.Client unix /run/redis.sock",
		"redis://one:1?master_name=m": "*redis.Client tcp FailoverClient",
		"redis://one:1?addr=two:2":    "*redis.ClusterClient",
	} {
		client := accepts(t, "REDIS_URL", url).Redis.Client()
		got := fmt.Sprintf("%T", client)
		if node, ok := client.(*redis.Client); ok {
			got += " " + node.Options().Network + " " + node.Options().Addr
		}
		if got != want {
			t.Errorf("%s: the client is %s; want %s", url, got, want)
		}
		if err := client.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestCLIReachesTheConfiguredRedis(t *testing.T) {
	for url, want := range map[string]string{
		"":                                           "",
		"redis://127.0.0.1:6379":                     "redis-cli",
		"redis://localhost:7000":                     "redis-cli -p 7000",
		"redis://:pw@db.example.com:6379/3":          "redis-cli -h db.example.com -n 3 --askpass",
		"rediss://me:pw@db.example.com:6380":         "redis-cli -h db.example.com -p 6380 --tls --user NAME --askpass",
		"unix:///run/redis.sock":                     "redis-cli -s /run/redis.sock",
		"redis://a:7000?addr=b:7000":                 "redis-cli -h a -p 7000 -c",
		"redis://a:26379?master_name=m&addr=b:26379": "",
	} {
		if got := accepts(t, "REDIS_URL", url).Redis.CLI(); got != want {
			t.Errorf("%s: CLI() = %q, want %q", url, got, want)
		}
	}
}

func TestAClusterClientFollowsAFailoverWithinSeconds(t *testing.T) {
	client := accepts(t, "REDIS_URL", "redis://one:1?addr=two:2").Redis.Client()
	defer func() { _ = client.Close() }()
	if got := client.(*redis.ClusterClient).Options().ClusterStateReloadInterval; got > 2*time.Second {
		t.Errorf("the topology is read every %s; want 2s", got)
	}
}

func TestRedisAtHasTheLimitsOfTheConfiguration(t *testing.T) {
	r := accepts(t, "REDIS_POOL_SIZE", "7").RedisAt("one:1", "this test")
	if r.Source != "this test" || r.Address() != "one:1" || r.Options.MaxActiveConns != 7 || r.Options.PoolTimeout != time.Second {
		t.Errorf("got %+v", r)
	}
	if idle := r.Options.ConnMaxIdleTime; idle <= 0 || idle >= 5*time.Minute {
		t.Errorf("idle connections are closed after %s; want less than the 5m after which hosts do it", idle)
	}
}

// TestThePoolIsAHardCapAndCallersWaitForTheirTurn uses many more callers than connections, while the server keeps closing
// them.
func TestThePoolIsAHardCapAndCallersWaitForTheirTurn(t *testing.T) {
	s := redistest.Start(t)
	admin := redistest.Client(t, s)
	client := accepts(t, "REDIS_URL", s.URL()+"?client_name=limited").Redis.Client()
	defer func() { _ = client.Close() }()

	done := make(chan struct{})
	go func() {
		defer close(done)
		var callers sync.WaitGroup
		for range 64 {
			callers.Go(func() { callOften(t, client) })
		}
		callers.Wait()
	}()
	highest := 0
	for running := true; running; {
		select {
		case <-done:
			running = false
		default:
			highest = max(highest, countAndKill(t, admin))
		}
	}
	if highest == 0 || highest > 4 {
		t.Errorf("the server saw up to %d connections; want 1 to 4", highest)
	}
}

// callOften sends commands, one in ten in a pipeline, which must use the same pool. The test itself closes connections
// during calls, so only an exhausted pool is an error.
func callOften(t *testing.T, client redis.UniversalClient) {
	for i := range 50 {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		err := client.Get(ctx, "none").Err()
		if i%10 == 0 {
			_, err = client.Pipelined(ctx, func(p redis.Pipeliner) error { return p.Get(ctx, "none").Err() })
		}
		cancel()
		if errors.Is(err, redis.ErrPoolExhausted) || errors.Is(err, redis.ErrPoolTimeout) {
			t.Errorf("the pool refused a caller: %v", err)
		}
	}
}

// countAndKill returns how many connections there are besides the admin's, and closes one.
func countAndKill(t *testing.T, admin *redis.Client) int {
	t.Helper()
	list, err := admin.ClientList(t.Context()).Result()
	if err != nil {
		t.Fatal(err)
	}
	clients := regexp.MustCompile(`id=(\d+) [^\n]* name=limited `).FindAllStringSubmatch(list, -1)
	if len(clients) > 0 { // it may be gone by now, which is fine
		_ = admin.ClientKillByFilter(t.Context(), "ID", clients[0][1]).Err()
	}
	return len(clients)
}

// arrival is how the server sees the connection.
type arrival struct {
	user      string
	database  int
	transport string
}

// prove connects, and compares how the server sees the connection with what the fixture wants.
func (f fixture) prove(t *testing.T, r Redis, s server, ca *redistest.CA) {
	t.Helper()
	s.allow(t, f.Want.User, f.Want.Password)
	addr := s.Addr()
	if f.Want.TLS {
		addr = s.tls
	}
	if r.Verified() && !f.Want.BringsCA { // the test's CA stands in for the system's CAs
		r.Options.TLSConfig.RootCAs = x509.NewCertPool()
		r.Options.TLSConfig.RootCAs.AddCert(ca.Cert)
	}
	entry := addr
	if f.Want.Mode == "sentinel" {
		entry = startSentinel(t, s, f.Want.Master, f.Want.SentinelUser, f.Want.SentinelPassword)
	}
	first := redirect(r, entry)
	client := r.Client()
	defer func() { _ = client.Close() }()

	got := askForArrival(t, client, s)
	want := arrival{cmp.Or(f.Want.User, "default"), f.Want.Database, "plain"}
	if f.Want.TLS {
		want.transport = "TLS"
	}
	if got != want {
		t.Errorf("the server saw %+v; want %+v", got, want)
	}
	if addr := first(); !slices.Contains(f.Want.Addrs, addr) {
		t.Errorf("dialled %q; want one of %q", addr, f.Want.Addrs)
	}
}

// askForArrival writes something, and asks the server about the connection.
func askForArrival(t *testing.T, client redis.UniversalClient, s server) arrival {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if err := client.Eval(ctx, `return redis.call("INCR", KEYS[1])`, []string{"visits:proof"}).Err(); err != nil {
		t.Fatalf("the write failed: %v", err)
	}
	info, err := client.ClientInfo(ctx).Result()
	if err != nil {
		t.Fatal(err)
	}
	transport := "plain"
	if info.LAddr == s.tls {
		transport = "TLS"
	}
	return arrival{info.User, info.DB, transport}
}
