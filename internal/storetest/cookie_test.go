package storetest_test

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"net/http"
	"runtime"
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

func TestCookieAttributes(t *testing.T) {
	rdb := client(t, redistest.Start(t))
	for _, test := range []struct {
		name    string
		opts    []redisstore.Option
		options *sessions.Options // nil for the store's
		want    string            // after the value
		ttl     time.Duration     // of the session in Redis
	}{
		{"by default", nil, nil, "; Path=/; Max-Age=86400; HttpOnly; SameSite=Lax", 24 * time.Hour},
		{"time to live", []redisstore.Option{redisstore.WithTTL(90 * time.Second)}, nil, "; Path=/; Max-Age=90; HttpOnly; SameSite=Lax", 90 * time.Second},
		{"rounded up", []redisstore.Option{redisstore.WithTTL(1500 * time.Millisecond)}, nil, "; Path=/; Max-Age=2; HttpOnly; SameSite=Lax", 1500 * time.Millisecond},
		{"lifetime", []redisstore.Option{redisstore.WithMaxLifetime(time.Minute)}, nil, "; Path=/; Max-Age=60; HttpOnly; SameSite=Lax", time.Minute},
		{
			"all set", nil, &sessions.Options{
				Path: "/shop", Domain: "example.org", MaxAge: 60, Secure: true, SameSite: http.SameSiteStrictMode,
			}, "; Path=/shop; Domain=example.org; Max-Age=60; Secure; SameSite=Strict", time.Minute,
		},
		{"until the browser ends", nil, &sessions.Options{Path: "/"}, "; Path=/", 24 * time.Hour},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newStore(t, rdb, test.opts...)
			if test.options != nil {
				s.Options(*test.options)
			}
			for _, write := range []gin.HandlerFunc{
				func(c *gin.Context) { must(t, save(c, "name", "Ann")) },
				func(c *gin.Context) { must(t, visit(c)) },
			} {
				b := &browser{t: t}
				w := b.request(s, write)
				lines := w.Header()["Set-Cookie"]
				if len(lines) != 1 {
					t.Fatalf("%d cookie lines, want 1", len(lines))
				}
				if _, attributes, _ := strings.Cut(lines[0], b.cookie.Value); attributes != test.want {
					t.Errorf("cookie attributes %q, want %q", attributes, test.want)
				}
				wantTTL(t, rdb, b.key(), test.ttl)
			}
		})
	}
}

// The id ends in its own hash tag, so that a script can move the session to a new id in a Cluster and a Ring.
func TestTheCookieCarries160RandomBitsAndTheirSignature(t *testing.T) {
	s := newStore(t, client(t, redistest.Start(t)))
	seen := make(map[string]bool)
	for range 50 {
		b := &browser{t: t}
		b.visit(s)
		id, signature, _ := strings.Cut(b.cookie.Value, ".")
		own, tag, _ := strings.Cut(strings.TrimSuffix(id, "}"), "{")
		want(t, "id", own+"{"+tag+"}", id)
		for part, bytes := range map[string]int{own: 18, tag: 2, signature: 32} {
			raw, err := base64.RawURLEncoding.DecodeString(part)
			must(t, err)
			want(t, "bytes", len(raw), bytes)
		}
		if seen[id] {
			t.Fatal("two sessions have the same id")
		}
		seen[id] = true
	}
}

func TestTheCookieIsSetAtEveryUse(t *testing.T) {
	s := newStore(t, client(t, redistest.Start(t)))
	b := &browser{t: t}
	b.visit(s)
	for i, use := range []gin.HandlerFunc{
		func(c *gin.Context) { must(t, visit(c)) },
		func(c *gin.Context) { must(t, save(c, "name", "Ann")) },
		func(c *gin.Context) { must(t, redisstore.Default(c).Regenerate()) },
		func(c *gin.Context) {
			http.SetCookie(c.Writer, &http.Cookie{Name: "other"})
			must(t, visit(c))
			must(t, save(c, "name", "Bob"))
			must(t, redisstore.Default(c).Regenerate())
			want(t, "cookie lines, the other one included", len(c.Writer.Header()["Set-Cookie"]), 2)
			c.Writer.Header()["Set-Cookie"] = c.Writer.Header()["Set-Cookie"][1:]
		},
	} {
		w := b.request(s, use)
		if n := len(w.Header()["Set-Cookie"]); n != 1 {
			t.Errorf("use %d: %d cookie lines, want 1", i, n)
		}
	}
	want(t, "name", b.get(s, "name"), any("Bob"))
	noCookie(t, b.request(s, func(c *gin.Context) { sessions.Default(c).Get("name") }))
	noCookie(t, b.request(s, func(c *gin.Context) { must(t, sessions.Default(c).Save()) })) // nothing changed
}

// flip changes one character of a string.
func flip(text string, i int) string {
	other := byte('A')
	if text[i] == other {
		other = 'B'
	}
	return text[:i] + string(other) + text[i+1:]
}

func TestAnIDIsNeverTakenFromACookieThatWeDidNotSign(t *testing.T) {
	server := redistest.Start(t)
	proxy := redistest.NewProxy(t, server)
	s := newStore(t, client(t, proxy))
	victim := &browser{t: t}
	victim.visit(s)
	foreign := &browser{t: t}
	foreign.visit(newStoreWith(t, client(t, server), keys("x")))
	id, value := victim.id(), victim.cookie.Value
	otherName := send(s, nil, func(c *gin.Context) {
		_, err := s.Session(c.Writer, c.Request, "other").Increment("visits", 1)
		must(t, err)
	}).Result().Cookies()[0].Value

	for name, forged := range map[string]string{
		"unsigned":                 id,
		"empty":                    "",
		"empty signature":          id + ".",
		"signature of zeros":       id + "." + strings.Repeat("A", 43),
		"other id":                 flip(value, 3),
		"other signature":          flip(value, 40),
		"other padding bits":       value[:len(value)-1] + string(value[len(value)-1]+1),
		"cut":                      value[:len(value)-1],
		"longer":                   value + "A",
		"another key's":            foreign.cookie.Value,
		"another cookie's":         otherName,
		"chosen id":                strings.Repeat("A", 29) + value[29:],
		"chosen id of old":         strings.Repeat("A", 27) + value[29:],
		"path of a key":            "../secret",
		"8 kB":                     strings.Repeat("A", 8<<10),
		"8 kB behind a good value": value + strings.Repeat("A", 8<<10),
		"bytes":                    "\x01\xff\xfe\x80",
		"wildcard":                 "*",
		"old gorilla cookie":       "MTc2Mzc=|Dv-BBAEC_4IAARABEAAA|abc=",
	} {
		t.Run(name, func(t *testing.T) {
			before := proxy.Seen("HGETALL", "GET")
			b := &browser{t: t, cookie: &http.Cookie{Name: cookieName, Value: forged}}
			want(t, "visits", b.get(s, "visits"), nil)
			want(t, "questions to Redis", proxy.Seen("HGETALL", "GET")-before, 0)
			want(t, "number", b.visit(s), 1)
			if b.id() == id || b.cookie.Value == forged || strings.HasPrefix(b.cookie.Value, "AAAA") {
				t.Error("the id was taken from the cookie")
			}
		})
	}
	t.Run("dead", func(t *testing.T) {
		dead := &browser{t: t, cookie: victim.cookie}
		dead.destroy(s)
		for name, write := range map[string]gin.HandlerFunc{
			"Increment": func(c *gin.Context) { must(t, visit(c)) },
			"Save":      func(c *gin.Context) { must(t, save(c, "name", "Ann")) },
		} {
			b := &browser{t: t, cookie: &http.Cookie{Name: cookieName, Value: value}}
			b.request(s, write)
			if b.id() == id {
				t.Errorf("%s took the id of a session that is gone", name)
			}
		}
	})
}

func TestTheFirstValidlySignedOfSeveralCookiesWins(t *testing.T) {
	s := newStore(t, client(t, redistest.Start(t)))
	b := &browser{t: t}
	b.visit(s)
	planted := &http.Cookie{Name: cookieName, Value: "planted"}
	shaped := &http.Cookie{Name: cookieName, Value: flip(b.cookie.Value, 5)}
	visits := func(cookies ...*http.Cookie) (value any) {
		send(s, cookies, func(c *gin.Context) { value = sessions.Default(c).Get("visits") })
		return value
	}
	want(t, "visits, planted before", visits(planted, shaped, b.cookie), any(1))
	want(t, "visits, planted behind", visits(b.cookie, planted), any(1))
	var many []*http.Cookie
	for range 150 { // as many as a browser keeps for a site
		many = append(many, shaped, planted, planted)
	}
	want(t, "visits, many planted before", visits(append(many, b.cookie)...), any(1))
}

func TestKeysAreCopied(t *testing.T) {
	ring := keys("a")
	rdb := client(t, redistest.Start(t))
	s := newStoreWith(t, rdb, ring)
	b := &browser{t: t}
	b.visit(s)
	clear(ring[0]) // as a careful program does
	runtime.GC()
	runtime.GC() // empties the pools
	want(t, "number", b.visit(s), 2)
	want(t, "number over a store with the same key", b.visit(newStore(t, rdb)), 3)
}

func TestStoresShareARandomSecret(t *testing.T) {
	server := redistest.Start(t)
	rdb := client(t, server)
	one, two := newStoreWith(t, client(t, server), nil), newStoreWith(t, client(t, server), nil)
	b := &browser{t: t}
	for number := int64(1); number <= 4; number += 2 {
		want(t, "number", b.visit(one), number)
		want(t, "number", b.visit(two), number+1)
	}
	if n := rdb.StrLen(t.Context(), secretKey).Val(); n < redisstore.MinKeyBytes {
		t.Errorf("the secret has %d bytes", n)
	}
	want(t, "time to live of the secret", rdb.TTL(t.Context(), secretKey).Val(), -1)
	other := newStoreWith(t, rdb, nil, redisstore.WithPrefix("other:"))
	want(t, "number over a store with another prefix", b.tab().visit(other), 1)
}

func TestASharedSecretCostsTwoCommandsOnce(t *testing.T) {
	server := redistest.Start(t)
	proxy := redistest.NewProxy(t, server)
	s := newStoreWith(t, client(t, proxy), nil)
	b := &browser{t: t}
	b.visit(s)
	b.visit(s)
	before := proxy.Seen()
	for range 10 {
		b.visit(s)
	}
	want(t, "commands of ten visits", proxy.Seen()-before, 10)
	before = proxy.Seen()
	forged := &http.Cookie{Name: cookieName, Value: flip(b.cookie.Value, 5)}
	start := time.Now()
	const attempts = 200
	for range attempts {
		send(s, []*http.Cookie{forged}, func(c *gin.Context) { sessions.Default(c).Get("visits") })
	}
	limit := 2 * (2 + int(time.Since(start)/time.Second))
	if n := proxy.Seen() - before; n > limit {
		t.Errorf("%d forged cookies cost %d commands, want at most %d", attempts, n, limit)
	}
}

func TestStoresAgreeAgainAfterRedisLostEverything(t *testing.T) {
	server := redistest.Start(t)
	rdb := redistest.Client(t, server)
	one, two := newStoreWith(t, client(t, server), nil), newStoreWith(t, client(t, server), nil)
	b := &browser{t: t}
	b.visit(one)
	b.visit(two)
	old := b.id()
	redistest.Restart(t, server)
	want(t, "keys after the restart", rdb.DBSize(t.Context()).Val(), 0)
	want(t, "number", b.visit(one), 1)
	if b.id() == old {
		t.Error("the new session has the id of the lost one")
	}
	for number := int64(2); number <= 6; number += 2 {
		want(t, "number", b.visit(two), number)
		want(t, "number", b.visit(one), number+1)
	}

	must(t, rdb.FlushDB(t.Context()).Err())
	young := newStoreWith(t, client(t, server), nil) // starts before the others notice the loss, and makes a new secret
	b = &browser{t: t}
	b.visit(young)
	for number := int64(2); number <= 5; number += 2 {
		want(t, "number over an old store", b.visit(two), number)
		want(t, "number over the young one", b.visit(young), number+1)
	}
}

// If the secret has changed, one request reads it, and the others wait for that one.
func TestConcurrentVisitsMeetANewSecretTogether(t *testing.T) {
	server := redistest.Start(t)
	rdb := redistest.Client(t, server)
	old := newStoreWith(t, client(t, server), nil)
	(&browser{t: t}).visit(old)
	must(t, rdb.FlushDB(t.Context()).Err())
	young := newStoreWith(t, client(t, server), nil)
	b := &browser{t: t}
	b.visit(young)
	var got numbers
	var wg sync.WaitGroup
	for range 64 {
		wg.Go(func() { got.add(b.tab().visit(old)) })
	}
	wg.Wait()
	got.wantAll(t, 65)
}

func TestAnInvalidSharedSecretIsAnError(t *testing.T) {
	server := redistest.Start(t)
	rdb := client(t, server)
	for name, write := range map[string]func() error{
		"list":  func() error { return rdb.RPush(t.Context(), secretKey, "x").Err() },
		"short": func() error { return rdb.Set(t.Context(), secretKey, "too short", 0).Err() },
		"empty": func() error { return rdb.Set(t.Context(), secretKey, "", 0).Err() },
	} {
		t.Run(name, func(t *testing.T) {
			must(t, rdb.FlushDB(t.Context()).Err())
			must(t, write())
			s := newStoreWith(t, rdb, nil)
			w := send(s, nil, func(c *gin.Context) {
				wantError(t, visit(c), redisstore.ErrUnavailable)
				wantError(t, save(c, "name", "Ann"), redisstore.ErrUnavailable)
			})
			noCookie(t, w)
			want(t, "keys", rdb.DBSize(t.Context()).Val(), 1)
		})
	}
}

// Otherwise each of many visitors would ask in turn, and the last ones would get no answer in time instead of the reason.
func TestVisitorsThatWaitForABadSecretShareTheAnswer(t *testing.T) {
	server := redistest.Start(t)
	rdb := client(t, server)
	must(t, rdb.Set(t.Context(), secretKey, "too short", 0).Err())
	proxy := redistest.NewProxy(t, server)
	proxy.All(redistest.Named("GET"), redistest.Fate{Delay: 200 * time.Millisecond})
	s := newStoreWith(t, client(t, proxy), nil)
	const visitors = 30
	var all sync.WaitGroup
	for range visitors {
		all.Go(func() {
			send(s, nil, func(c *gin.Context) {
				if err := visit(c); err == nil || !strings.Contains(err.Error(), "shorter than") {
					t.Errorf("error = %v, want one about the secret's length", err)
				}
			})
		})
	}
	all.Wait()
	if asked := proxy.Seen("GET"); asked > visitors/3 {
		t.Errorf("%d visitors asked %d times", visitors, asked)
	}
}

func TestASecretThatCannotBeAskedForIsNoNewSession(t *testing.T) {
	server := redistest.Start(t)
	b := &browser{t: t}
	b.visit(newStoreWith(t, client(t, server), nil))
	proxy := redistest.NewProxy(t, server)
	s := newStoreWith(t, clientWithoutRetries(t, proxy), nil)
	proxy.All(redistest.Any, redistest.Fate{Answer: redistest.Loading})
	w := b.request(s, func(c *gin.Context) {
		wantError(t, visit(c), redisstore.ErrUnavailable)
		wantError(t, redisstore.Default(c).Destroy(), redisstore.ErrUnavailable)
		wantError(t, redisstore.Default(c).Abandon(), redisstore.ErrUnavailable)
		proxy.Heal()
		wantError(t, save(c, "name", "Ann"), redisstore.ErrUnavailable)
	})
	noCookie(t, w)
	want(t, "number", b.visit(s), 2)
}

func TestNewRefusesWhatCannotWork(t *testing.T) {
	var none *redis.Client
	good := unreachable(t)
	careless := []redis.UniversalClient{ // without ContextTimeoutEnabled
		redis.NewClient(&redis.Options{Addr: "127.0.0.1:1"}),
		redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{"127.0.0.1:1"}}),
		redis.NewRing(&redis.RingOptions{Addrs: map[string]string{"a": "127.0.0.1:1"}}),
		redis.NewFailoverClient(&redis.FailoverOptions{MasterName: "m", SentinelAddrs: []string{"127.0.0.1:1"}}),
	}
	for _, rdb := range careless {
		t.Cleanup(func() { must(t, rdb.Close()) })
	}
	for name, err := range map[string]error{
		"no client":              second(redisstore.New(nil, nil)),
		"a nil client":           second(redisstore.New(none, nil)),
		"a nil cluster":          second(redisstore.New((*redis.ClusterClient)(nil), nil)),
		"a short key":            second(redisstore.New(good, [][]byte{bytes.Repeat([]byte("x"), 31)})),
		"an empty key":           second(redisstore.New(good, append(keys("a"), nil))),
		"a short time":           second(redisstore.New(good, nil, redisstore.WithTTL(time.Second-1))),
		"a negative time":        second(redisstore.New(good, nil, redisstore.WithTTL(-time.Hour))),
		"a short lifetime":       second(redisstore.New(good, nil, redisstore.WithMaxLifetime(0))),
		"NUL in the prefix":      second(redisstore.New(good, nil, redisstore.WithPrefix("a\x00"))),
		"an open hash tag":       second(redisstore.New(good, nil, redisstore.WithPrefix("{:"))),
		"half a hash tag":        second(redisstore.New(good, nil, redisstore.WithPrefix("}{"))),
		"an empty hash tag":      second(redisstore.New(good, nil, redisstore.WithPrefix("{}"))),
		"a short timeout":        second(redisstore.New(good, nil, redisstore.WithTimeout(0))),
		"no deadlines":           second(redisstore.New(careless[0], nil)),
		"no deadlines, Cluster":  second(redisstore.New(careless[1], nil)),
		"no deadlines, Ring":     second(redisstore.New(careless[2], nil)),
		"no deadlines, Sentinel": second(redisstore.New(careless[3], nil)),
		"a nil option":           second(redisstore.New(good, nil, nil)),
		"no bytes":               second(redisstore.New(good, nil, redisstore.WithMaxBytes(0))),
	} {
		t.Run(name, func(t *testing.T) { wantError(t, err, redisstore.ErrInvalid) })
	}
}

func second[T any](_ T, err error) error { return err }

func TestASharedSecretThatWasEvictedIsPutBack(t *testing.T) {
	server := redistest.Start(t)
	rdb := redistest.Client(t, server)
	old := newStoreWith(t, client(t, server), nil)
	b := &browser{t: t}
	visits := b.visit(old)
	secret := rdb.Get(t.Context(), secretKey).Val()
	must(t, rdb.Del(t.Context(), secretKey).Err()) // as an eviction does
	redistest.Wait(t, "the secret to be back", func() bool {
		visits = b.visit(old)
		return rdb.Exists(t.Context(), secretKey).Val() == 1
	})
	want(t, "secret", rdb.Get(t.Context(), secretKey).Val(), secret)
	want(t, "number over a new store", b.visit(newStoreWith(t, client(t, server), nil)), visits+1)
}

// Redis evicts the keys that were not used for the longest time. One visitor is busy, and there are many other sessions.
func TestASharedSecretInUseIsNotEvicted(t *testing.T) {
	server := redistest.Start(t)
	rdb := redistest.Client(t, server)
	for name, value := range map[string]string{"maxmemory-policy": "allkeys-lru", "maxmemory-samples": "64", "maxmemory": "4mb"} {
		must(t, rdb.ConfigSet(t.Context(), name, value).Err())
	}
	old := newStoreWith(t, client(t, server), nil)
	b := &browser{t: t}
	visits := b.visit(old)
	evicted := func() int {
		var n int
		_, err := fmt.Sscanf(rdb.InfoMap(t.Context(), "stats").Val()["Stats"]["evicted_keys"], "%d", &n)
		must(t, err)
		return n
	}
	others := 0
	visitOthers := func(n int) {
		pipe := rdb.Pipeline()
		for range n {
			others++
			pipe.Set(t.Context(), fmt.Sprintf("gin:session:other-%d", others), strings.Repeat("x", 200), time.Hour)
		}
		_, err := pipe.Exec(t.Context())
		must(t, err)
	}
	visitOthers(15_000) // the memory is full now, and the secret is the least recently used key
	began, before := time.Now(), evicted()
	redistest.Wait(t, "Redis to evict unused keys, for longer than the store goes without reading the secret", func() bool {
		visitOthers(4) // of 15,000: far too few to evict keys that are in use
		visits = b.visit(old)
		return evicted()-before > 1500 && time.Since(began) > 4*time.Second
	})
	want(t, "number over a new store", b.visit(newStoreWith(t, client(t, server), nil)), visits+1)
}
