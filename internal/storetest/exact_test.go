package storetest_test

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gin-contrib/sessions"
	"github.com/gin-gonic/gin"
	"github.com/redis/go-redis/v9"

	"visit-counter/internal/redistest"
	"visit-counter/redisstore"
)

func TestAReturningVisitIsExactlyOneCommand(t *testing.T) {
	server := redistest.Start(t)
	rdb, watcher := client(t, server), redistest.Client(t, server)
	s := newStore(t, rdb)
	b := &browser{t: t}
	b.visit(s)

	const visits = 25
	must(t, watcher.ConfigResetStat(t.Context()).Err())
	for range visits {
		b.visit(s)
	}
	// Redis counts the commands inside the script separately.
	inside := map[string]int{"hgetall": visits, "time": visits, "hset": visits, "hdel": visits, "pexpire": visits}
	info, err := watcher.InfoMap(t.Context(), "commandstats").Result()
	must(t, err)
	for name := range info["Commandstats"] {
		command := strings.TrimPrefix(name, "cmdstat_")
		switch n := calls(t, watcher, command); {
		case command == "evalsha":
			want(t, "evalsha", n, visits)
		case strings.HasPrefix(command, "config"), command == "info":
		case inside[command] != n:
			t.Errorf("%d calls of %s, want %d", n, command, inside[command])
		}
	}
}

func TestASaveIsExactlyOneCommandAfterTheLoad(t *testing.T) {
	server := redistest.Start(t)
	proxy := redistest.NewProxy(t, server)
	s := newStore(t, client(t, proxy))
	b := &browser{t: t}
	b.set(s, "n", 1)
	for i := range 5 {
		before, scripts := proxy.Seen(), proxy.Seen("EVALSHA")
		b.set(s, "n", i)
		want(t, "commands of a load and a save", proxy.Seen()-before, 2)
		want(t, "scripts", proxy.Seen("EVALSHA")-scripts, 1)
	}
	before := proxy.Seen()
	b.destroy(s)
	want(t, "commands of a Destroy", proxy.Seen()-before, 1)
	b.request(s, func(*gin.Context) {})
	want(t, "commands of a request that ignores its session", proxy.Seen()-before, 1)
}

// numbers collects the numbers of concurrent visits.
type numbers struct {
	mu   sync.Mutex
	seen map[int64]int
}

func (n *numbers) add(number int64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.seen == nil {
		n.seen = make(map[int64]int)
	}
	n.seen[number]++
}

// wantAll fails the test unless each number from 2 to last was seen exactly once. Number 1 is the visit that made the session.
func (n *numbers) wantAll(t testing.TB, last int64) {
	t.Helper()
	want(t, "different numbers", int64(len(n.seen)), last-1)
	for number := int64(2); number <= last; number++ {
		if times := n.seen[number]; times != 1 {
			t.Fatalf("%d visits have the number %d", times, number)
		}
	}
}

func TestConcurrentVisitsOverTwoStoresEachHaveTheirOwnNumber(t *testing.T) {
	const visits, connections = 2_000, 64
	server := redistest.Start(t)
	var stores []*redisstore.Store
	for range 2 {
		rdb := client(t, server, func(o *redis.Options) { o.PoolSize = connections / 2 })
		stores = append(stores, newStore(t, rdb))
	}
	b := &browser{t: t}
	b.visit(stores[0])
	var got numbers
	var wg sync.WaitGroup
	for i := range connections {
		wg.Go(func() {
			own := b.tab()
			for j := i; j < visits; j += connections {
				got.add(own.visit(stores[j/connections%2]))
			}
		})
	}
	wg.Wait()
	got.wantAll(t, visits+1)
	want(t, "count", b.visit(stores[1]), visits+2)
	want(t, "sessions", len(sessionKeys(t, redistest.Client(t, server))), 1)
}

func TestAnIncrementWaitsInLineNoLongerThanItsContext(t *testing.T) {
	rdb := client(t, redistest.Start(t))
	s := newStore(t, rdb)
	b := &browser{t: t}
	b.visit(s)
	held := holdScripts(rdb)

	const atOnce = 4 // as documented
	var got numbers
	var wg sync.WaitGroup
	count := func() { got.add(b.tab().visit(s)) }
	for range atOnce {
		wg.Go(count)
		<-held.arrived
	}
	left := make(chan struct{})
	go func() {
		defer close(left)
		w := send(s, b.cookies(), func(c *gin.Context) {
			wantError(t, visit(c), redisstore.ErrUnavailable)
		}, within(20*time.Millisecond))
		noCookie(t, w)
	}()
	select {
	case <-left:
	case <-held.arrived:
		t.Fatalf("more than %d increments of one session are under way", atOnce)
	}

	wg.Go(count) // waits behind the one that has left the queue
	for range atOnce {
		held.release <- struct{}{}
	}
	<-held.arrived
	held.release <- struct{}{}
	wg.Wait()
	got.wantAll(t, atOnce+2)
}

// lostReplies sends visits through a proxy while replies to executed increments have that fate. Every visit must succeed and
// count once.
func lostReplies(t *testing.T, rdb redis.UniversalClient, proxy *redistest.Proxy, fate redistest.Fate, watcher *redis.Client) {
	t.Helper()
	const (
		rounds, inFlight = 7, 64
		// lost is how many replies are lost in a round. It is less than the attempts of a client, because all of them may be
		// replies to the same increment.
		lost = 3
	)
	s := newStore(t, rdb)
	b := &browser{t: t}
	b.visit(s)
	var got numbers
	for range rounds {
		proxy.Next(lost, redistest.Scripts, fate)
		var wg sync.WaitGroup
		for range inFlight {
			wg.Go(func() {
				own := b.tab()
				got.add(own.visit(s))
			})
		}
		wg.Wait()
	}
	want(t, "replies lost", proxy.Affected(), rounds*lost)
	got.wantAll(t, 1+inFlight*rounds)
	want(t, "count", b.visit(s), 2+inFlight*rounds)
	fields, err := watcher.HLen(t.Context(), b.key()).Result()
	must(t, err)
	if fields > 2+4 { // @created, visits, and the last increment of each lane
		t.Errorf("the session has %d fields at the end, want at most 6", fields)
	}
	encoding, err := watcher.ObjectEncoding(t.Context(), b.key()).Result()
	must(t, err)
	want(t, "encoding after it all", encoding, "listpack")
}

func TestAVisitWhoseReplyWasLostCountsOnce(t *testing.T) {
	quick := func(o *redis.Options) {
		o.PoolSize = 64
		o.ReadTimeout = 300 * time.Millisecond // until the client gives up on a lost reply
	}
	t.Run("connection closed", func(t *testing.T) {
		server := redistest.Start(t)
		proxy := redistest.NewProxy(t, server)
		lostReplies(t, client(t, proxy, quick), proxy, redistest.Fate{Cut: true}, redistest.Client(t, server))
	})
	t.Run("reply vanished", func(t *testing.T) {
		server := redistest.Start(t)
		proxy := redistest.NewProxy(t, server)
		lostReplies(t, client(t, proxy, quick), proxy, redistest.Fate{Mute: true}, redistest.Client(t, server))
	})
	t.Run("cluster client", func(t *testing.T) {
		server, proxy, rdb := cluster(t)
		lostReplies(t, rdb, proxy, redistest.Fate{Cut: true}, redistest.Client(t, server))
	})
}

// cluster starts a Cluster of one node, which announces the proxy's address to clients, and a client.
func cluster(t testing.TB) (redistest.Target, *redistest.Proxy, *redis.ClusterClient) {
	t.Helper()
	node := redistest.StartProxiedCluster(t, 1).Nodes[0]
	rdb := redis.NewClusterClient(&redis.ClusterOptions{
		Addrs: []string{node.Proxy.Addr()}, PoolSize: 64, ContextTimeoutEnabled: true,
	})
	t.Cleanup(func() { must(t, rdb.Close()) })
	return node, node.Proxy, rdb
}

func TestAFirstVisitWhoseReplyWasLostCreatesOneSession(t *testing.T) {
	server := redistest.Start(t)
	proxy := redistest.NewProxy(t, server)
	s := newStore(t, client(t, proxy))
	(&browser{t: t}).visit(s) // so that Redis knows the script
	proxy.Next(1, redistest.Scripts, redistest.Fate{Cut: true})
	b := &browser{t: t}
	want(t, "number", b.visit(s), 1)
	want(t, "replies lost", proxy.Affected(), 1)
	want(t, "number of the next visit", b.visit(s), 2)
	want(t, "sessions", len(sessionKeys(t, redistest.Client(t, server))), 2)
}

func TestARepeatedVisitSeesTheSessionAsItIsAndItsOwnNumber(t *testing.T) {
	server := redistest.Start(t)
	proxy := redistest.NewProxy(t, server)
	s, other := newStore(t, client(t, proxy)), newStore(t, client(t, server))
	b := &browser{t: t}
	b.set(s, "name", "Ann")
	b.visit(s)

	proxy.Next(1, redistest.Scripts, redistest.Fate{Mute: true})
	done := make(chan struct{})
	slow := b.tab()
	go func() {
		defer close(done)
		slow.request(s, func(c *gin.Context) {
			result, err := redisstore.Default(c).Increment("visits", 1, redisstore.And("other", 7))
			must(t, err)
			want(t, "number", result.Count, 2)
			session := sessions.Default(c)
			want(t, "visits", session.Get("visits"), any(2))
			want(t, "other", session.Get("other"), any(7))
			want(t, "name", session.Get("name"), any("Bob"))
			want(t, "created", result.Created, false)
		})
	}()
	redistest.Wait(t, "the increment to be executed", func() bool { return proxy.Affected() == 1 })
	want(t, "number over the other store", b.visit(other), 3)
	b.set(other, "name", "Bob")
	proxy.Heal()
	<-done
	want(t, "count", b.visit(s), 4)
}

// recordScripts returns the scripts that the client sends from now on.
func recordScripts(rdb *redis.Client) (sent *[]redis.Cmder) {
	sent = new([]redis.Cmder)
	rdb.AddHook(beforeScript(func(script redis.Cmder) { *sent = append(*sent, script) }))
	return sent
}

func TestALateRepetitionNeverCountsAgain(t *testing.T) {
	onBoth(t, func(t *testing.T, rdb *redis.Client) {
		s := newStore(t, rdb)
		b := &browser{t: t}
		b.visit(s)
		sent := recordScripts(rdb)
		for range 10 {
			b.visit(s)
		}
		repeat := func(script redis.Cmder) (status string) {
			answer, err := rdb.Do(t.Context(), script.Args()...).StringSlice()
			must(t, err)
			return answer[len(answer)-1]
		}
		for _, script := range slices.Concat(*sent, *sent) {
			want(t, "status", repeat(script), "OK")
		}
		want(t, "count", b.visit(s), 12)

		want(t, "visits before the session is destroyed", b.visit(newStore(t, rdb)), 13)
		last := (*sent)[len(*sent)-1]
		b.destroy(s)
		want(t, "status after Destroy", repeat(last), "GONE")
		want(t, "sessions", len(sessionKeys(t, rdb)), 0)
	})
}

// A store that has ended leaves its field in every session; the other stores remove it.
func TestRememberedNumbersDoNotPileUp(t *testing.T) {
	server := redistest.Start(t)
	rdb := client(t, server)
	s := newStore(t, rdb)
	b := &browser{t: t}
	b.visit(s)

	// As if 20,000 visits through other stores had been abandoned two minutes ago.
	now, err := rdb.Time(t.Context()).Result()
	must(t, err)
	const left = 20_000
	pipe := rdb.Pipeline()
	for i := range left {
		value := fmt.Sprintf("[%d,%d,%d,1]", now.Add(-2*time.Minute).Unix(), i, i)
		pipe.HSet(t.Context(), b.key(), fmt.Sprintf("@ZZZZZ%05d.0", i), value)
	}
	_, err = pipe.Exec(t.Context())
	must(t, err)
	want(t, "number", b.visit(s), 2)
	fields, err := rdb.HLen(t.Context(), b.key()).Result()
	must(t, err)
	want(t, "fields", fields, 3)
}

func TestTwoRequestsThatSetDifferentFieldsKeepBoth(t *testing.T) {
	onBoth(t, func(t *testing.T, rdb *redis.Client) {
		s := newStore(t, rdb)
		b := &browser{t: t}
		b.set(s, "same", 0, "removed", true, "kept", "as it is")
		b.request(s, func(c *gin.Context) {
			session := sessions.Default(c)
			session.Set("slow", 1)
			session.Set("same", 1)
			session.Delete("removed")
			b.tab().set(s, "quick", 2, "same", 2, "kept", "changed")
			must(t, session.Save())
		})
		for name, value := range map[string]any{"slow": 1, "quick": 2, "same": 1, "removed": nil, "kept": "changed"} {
			want(t, name, b.get(s, name), value)
		}
	})
}

func TestManyConcurrentSavesOfDifferentFieldsKeepAll(t *testing.T) {
	const saves = 64
	s := newStore(t, client(t, redistest.Start(t)))
	b := &browser{t: t}
	b.set(s, "start", true)
	var wg sync.WaitGroup
	for i := range saves {
		wg.Go(func() {
			own := b.tab()
			own.set(s, fmt.Sprintf("field %d", i), i)
			own.visit(s)
		})
	}
	wg.Wait()
	b.request(s, func(c *gin.Context) {
		session := sessions.Default(c)
		want(t, "visits", session.Get("visits"), any(saves))
		for i := range saves {
			name := fmt.Sprintf("field %d", i)
			want(t, name, session.Get(name), any(i))
		}
	})
}

func TestAScriptThatRedisForgotIsInvisible(t *testing.T) {
	server := redistest.Start(t)
	proxy := redistest.NewProxy(t, server)
	rdb := redistest.Client(t, server)
	s := newStore(t, client(t, proxy))
	b := &browser{t: t}
	b.visit(s)
	forget := func() { must(t, rdb.ScriptFlush(t.Context()).Err()) }
	forget()
	before := proxy.Seen()
	want(t, "number", b.visit(s), 2)
	want(t, "commands", proxy.Seen()-before, 2)
	forget()
	b.set(s, "name", "Ann")
	forget()
	b.regenerate(s)
	forget()
	want(t, "number", b.visit(s), 3)
	want(t, "name", b.get(s, "name"), any("Ann"))
}

func TestIncrementCountsSeveralCountersBothWaysAtOnce(t *testing.T) {
	onBoth(t, func(t *testing.T, rdb *redis.Client) {
		s := newStore(t, rdb)
		b := &browser{t: t}
		b.set(s, "stock", 10)
		b.request(s, func(c *gin.Context) {
			result, err := redisstore.Default(c).Increment("visits", 1, redisstore.And("stock", -3), redisstore.And("visits", 1))
			must(t, err)
			want(t, "count", result.Count, 2)
			counters, err := result.Counters("")
			must(t, err)
			if !maps.Equal(counters, map[string]int64{"visits": 2, "stock": 7}) {
				t.Errorf("counters = %v", counters)
			}
		})
		b.request(s, func(c *gin.Context) {
			result, err := redisstore.Default(c).Increment("stock", 0)
			must(t, err)
			want(t, "stock", result.Count, 7)
		})
	})
}

func TestResultTellsWhatHappened(t *testing.T) {
	onBoth(t, func(t *testing.T, rdb *redis.Client) {
		const ttl = time.Hour + time.Millisecond
		s := newStore(t, rdb, redisstore.WithTTL(ttl))
		b := &browser{t: t}
		var first redisstore.Result
		b.request(s, func(c *gin.Context) {
			var err error
			first, err = redisstore.Default(c).Increment("visits", 1)
			must(t, err)
		})
		want(t, "created", first.Created, true)
		want(t, "expires in", first.ExpiresIn, ttl)
		if age := time.Since(first.CreatedAt); age < -time.Minute || age > time.Minute {
			t.Errorf("created %v ago", age)
		}
		w := b.request(s, func(c *gin.Context) {
			result, err := redisstore.Default(c).Increment("visits", 1)
			must(t, err)
			want(t, "created", result.Created, false)
			want(t, "created at", result.CreatedAt, first.CreatedAt)
		})
		want(t, "status", w.Code, http.StatusOK)
		none, err := redisstore.Result{}.Counters("")
		must(t, err)
		want(t, "counters of nothing", len(none), 0)
	})
}

func TestCountersRefusesFieldsThatAreNoCounters(t *testing.T) {
	s := newStore(t, client(t, redistest.Start(t)))
	b := &browser{t: t}
	b.set(s, "row:a", "x", "name", "Ann")
	b.request(s, func(c *gin.Context) {
		result, err := redisstore.Default(c).Increment("visits", 1)
		must(t, err)
		_, err = result.Counters("row:")
		wantError(t, err, redisstore.ErrCorrupt)
		counters, err := result.Counters("visits")
		must(t, err)
		want(t, "visits", counters["visits"], 1)
		_, err = redisstore.Default(c).Increment("visits", 1, nil)
		wantError(t, err, redisstore.ErrInvalid)
	})
}
