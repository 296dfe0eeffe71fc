package backend

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"

	"visit-counter/internal/config"
	"visit-counter/internal/redisfault"
	"visit-counter/internal/redisserver"
	"visit-counter/internal/redistest"
)

func TestAnAddressThatNeverAnswersLeavesTimeForTheNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const timeout = 400 * time.Millisecond
		d := dialer{timeout: timeout, lookup: func(context.Context, string) ([]string, error) {
			return []string{"192.0.2.1", "192.0.2.2", "2001:db8::3"}, nil
		}}
		works := "[2001:db8::3]:6379"
		next := func(ctx context.Context, _, addr string) (net.Conn, error) {
			if addr == works {
				<-time.After(timeout / 4) // a slow one
				conn, _ := net.Pipe()
				return conn, ctx.Err()
			}
			<-ctx.Done()
			return nil, &net.OpError{Op: "dial", Err: ctx.Err()}
		}
		conn, err := d.dial(t.Context(), next, "tcp", "redis.example.com:6379")
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.Close()
		works = "none"
		began := time.Now()
		conn, err = d.DialHook(next)(t.Context(), "tcp", "redis.example.com:6379")
		if err != nil || time.Since(began) != timeout {
			t.Errorf("no address works: %v after %v", err, time.Since(began))
		}
		_, err = conn.Read(nil)
		if fault := redisfault.Explain(err); fault.Code != "connect timeout" {
			t.Errorf("no address works: %v", err)
		}
		d.lookup = func(context.Context, string) ([]string, error) { return nil, &net.DNSError{IsNotFound: true} }
		if _, err := d.dial(t.Context(), next, "tcp", "redis.invalid:6379"); redisfault.Explain(err).Code != "DNS" {
			t.Errorf("a name that does not exist: %v", err)
		}
	})
}

// openAt opens and watches the Redis that the environment configures, and returns it with its log.
func openAt(t *testing.T, env ...string) (*Backend, *logOutput) {
	t.Helper()
	vars := make(map[string]string)
	for _, v := range env {
		name, value, _ := strings.Cut(v, "=")
		vars[name] = value
	}
	cfg, err := config.Load(func(name string) string { return vars[name] })
	if err != nil {
		t.Fatal(err)
	}
	log := new(logOutput)
	b, err := Open(t.Context(), cfg, slog.New(slog.NewJSONHandler(log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	b.Watch(func(ctx context.Context) error { return b.Client.Set(ctx, "checked", "", 0).Err() })
	return b, log
}

func TestANameWithSeveralAddressesIsReachedAtTheOneThatListens(t *testing.T) {
	ca := redistest.NewCA(t)
	for name, server := range map[string]*redisserver.Server{
		"plain":                                 redistest.Start(t),
		"TLS, with a certificate for that name": redistest.StartWith(t, redisserver.Options{TLS: ca.Issue(t, "localhost")}),
	} {
		b, _ := openAt(t, "REDIS_URL="+strings.Replace(server.URL(), "127.0.0.1", "localhost", 1), "REDIS_TLS_CA="+ca.PEM)
		if err := b.Client.Ping(t.Context()).Err(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// rejecting returns the address of a server that sends a line on each connection and closes it.
func rejecting(t *testing.T, line string) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Write([]byte(line + "\r\n"))
			_, _ = conn.Read(make([]byte, 1)) // so that closing it does not overtake the line
			_ = conn.Close()
		}
	}()
	return listener.Addr().String()
}

func TestTheReasonForAClosedConnectionIsExplained(t *testing.T) {
	const denied = "-DENIED Redis is running in protected mode because protected mode is enabled and no password is set"
	for line, code := range map[string]string{denied: "DENIED", redistest.MaxClients: "max clients"} {
		b, log := openAt(t, "REDIS_URL=redis://"+rejecting(t, line), "REDIS_TIMEOUT=300ms")
		fault := redisfault.Explain(b.Client.Get(t.Context(), "x").Err())
		if fault.Code != code {
			t.Errorf("%s is explained as %+v, want code %s", line, fault, code)
		}
		redistest.Wait(t, "redis lost", func() bool { return log.messages(t) == "redis lost" })
		if lost := log.lines(t)[0]; lost.Err != fault.Wrong || lost.Hint != fault.Todo {
			t.Errorf("the log says %+v, want the explanation %+v", lost, fault)
		}
	}
}

func TestAMissingPasswordIsNamedToEachOfManyVisits(t *testing.T) {
	server := redistest.Start(t)
	redistest.Do(t, redistest.Client(t, server), "CONFIG SET requirepass hunter2")
	b, _ := openAt(t, "REDIS_URL="+server.URL())
	var visits sync.WaitGroup
	for range 40 { // most of them go together
		visits.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			args := slices.Repeat([]any{"x"}, 12) // too many for a client that is not authenticated
			err := b.Client.EvalSha(ctx, "0123456789012345678901234567890123456789", []string{"key"}, args...).Err()
			if fault := redisfault.Explain(err); fault.Code != "NOAUTH" {
				t.Errorf("%v is explained as %q, want NOAUTH", err, fault.Code)
			}
		})
	}
	visits.Wait()
}

// As some proxies do, which know AUTH, but not the password in a HELLO.
func TestAPasswordThatTheGreetingDoesNotTakeIsTriedAgain(t *testing.T) {
	server := redistest.StartWith(t, redisserver.Options{Password: "hunter2"})
	proxy := redistest.NewProxy(t, server)
	proxy.All(redistest.Named("HELLO"), redistest.Fate{Answer: "-NOAUTH Authentication required."})
	b, _ := openAt(t, "REDIS_URL=redis://:hunter2@"+proxy.Addr())
	if err := b.Client.Set(t.Context(), "key", "", 0).Err(); err != nil {
		t.Error(err)
	}
}

func TestAPipelineFindsOutThatANodeBelongsToACluster(t *testing.T) {
	cluster := redistest.StartCluster(t, 3, 0)
	b, _ := openAt(t, "REDIS_URL=redis://"+cluster.Addrs()[0])
	const keys = 16
	answers, err := b.Client.Pipelined(t.Context(), func(p redis.Pipeliner) error {
		for n := range keys {
			p.Incr(t.Context(), "visits:session:"+strconv.Itoa(n))
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	for n, answer := range answers {
		if got, err := answer.(*redis.IntCmd).Result(); got != 1 || err != nil {
			t.Errorf("key %d is %d, %v", n, got, err)
		}
	}
}

func TestANodeOfAClusterIsUsedAsACluster(t *testing.T) {
	cluster := redistest.StartCluster(t, 3, 0)
	b, log := openAt(t, "REDIS_URL=redis://"+cluster.Addrs()[0])
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	ctx, sent := Trace(ctx)
	const keys = 50
	for n := range keys {
		key := "visits:session:" + strconv.Itoa(n)
		if err := b.Client.Set(ctx, key, n, 0).Err(); err != nil {
			t.Fatal(err)
		}
		if got, err := b.Client.Get(ctx, key).Int(); got != n || err != nil {
			t.Errorf("%s is %d, %v", key, got, err)
		}
	}
	answers, err := b.Client.Pipelined(t.Context(), func(p redis.Pipeliner) error {
		for n := range keys {
			p.Get(ctx, "visits:session:"+strconv.Itoa(n))
		}
		return nil
	})
	for n, answer := range answers {
		if got, err := answer.(*redis.StringCmd).Int(); got != n || err != nil {
			t.Errorf("in a pipeline, key %d is %d, %v", n, got, err)
		}
	}
	if err != nil {
		t.Error(err)
	}
	// The first command finds the Cluster, unless the watcher has found it before. From then on each command needs one round
	// trip.
	if trips := sent.RoundTrips(); trips < 2*keys || trips > 3*keys {
		t.Errorf("%d round trips for %d commands, want at most %d", trips, 2*keys, 3*keys)
	}
	redistest.Wait(t, "the log to report the Cluster", func() bool {
		return strings.Count(log.messages(t), "is used as a Cluster") == 1 && strings.Contains(log.messages(t), "redis connected")
	})
	if strings.Contains(log.messages(t), "redis lost") {
		t.Errorf("the log reports a lost Redis: %s", log.messages(t))
	}
}

func TestSpeaksRedis(t *testing.T) {
	server, hung := redistest.Start(t), redistest.Start(t)
	loading := redistest.NewProxy(t, server)
	loading.All(redistest.Any, redistest.Fate{Answer: redistest.Loading})
	if err := hung.Pause(); err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(http.NotFoundHandler())
	defer web.Close()
	nothing := redistest.Start(t)
	nothing.Kill()
	for name, test := range map[string]struct {
		addr string
		want bool
	}{
		"Redis":              {server.Addr(), true},
		"wants a password":   {redistest.StartWith(t, redisserver.Options{Password: "a-p4ssword"}).Addr(), true},
		"loading":            {loading.Addr(), true},
		"out of connections": {rejecting(t, redistest.MaxClients), true},
		"hung":               {hung.Addr(), false},
		"a web server":       {strings.TrimPrefix(web.URL, "http://"), false},
		"nothing":            {nothing.Addr(), false},
	} {
		if got := speaksRedis(t.Context(), test.addr); got != test.want {
			t.Errorf("%s: speaksRedis = %t, want %t", name, got, test.want)
		}
	}
}
