package storetest_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gin-contrib/sessions"
	"github.com/gin-gonic/gin"
	gsessions "github.com/gorilla/sessions"
	"github.com/redis/go-redis/v9"

	"visit-counter/internal/redisserver"
	"visit-counter/internal/redistest"
	"visit-counter/redisstore"
)

func TestAFailedLoadIsNeverOverwritten(t *testing.T) {
	faults := map[string]func(*redistest.Proxy){
		"reads fail":          func(p *redistest.Proxy) { p.All(redistest.Reads, redistest.Fate{Answer: "-ERR no reads"}) },
		"everything fails":    func(p *redistest.Proxy) { p.All(redistest.Any, redistest.Fate{Answer: redistest.Loading}) },
		"one read fails":      func(p *redistest.Proxy) { p.Next(1, redistest.Reads, redistest.Fate{Answer: redistest.MasterDown}) },
		"one reply is lost":   func(p *redistest.Proxy) { p.Next(1, redistest.Reads, redistest.Fate{Cut: true}) },
		"nobody listens":      func(p *redistest.Proxy) { p.Refuse() },
		"too many clients":    func(p *redistest.Proxy) { p.All(redistest.Any, redistest.Fate{Answer: redistest.MaxClients}); p.Cut() },
		"connections are cut": func(p *redistest.Proxy) { p.All(redistest.Any, redistest.Fate{Lose: true}) },
	}
	for name, fault := range faults {
		t.Run(name, func(t *testing.T) {
			server := redistest.Start(t)
			proxy := redistest.NewProxy(t, server)
			s := newStore(t, clientWithoutRetries(t, proxy, func(o *redis.Options) { o.ReadTimeout = 300 * time.Millisecond }))
			b := &browser{t: t}
			b.set(s, "name", "Ann", "visits", 41)
			before := b.cookie.Value
			fault(proxy)
			w := b.request(s, func(c *gin.Context) {
				session := sessions.Default(c)
				want(t, "name", session.Get("name"), nil)
				proxy.Heal()
				wantError(t, save(c, "name", "Bob"), redisstore.ErrUnavailable)
				session.Clear()
				session.Set("visits", 1)
				wantError(t, session.Save(), redisstore.ErrUnavailable)
				wantError(t, visit(c), redisstore.ErrUnavailable)
				wantError(t, redisstore.Default(c).Regenerate(), redisstore.ErrUnavailable)
			})
			noCookie(t, w)
			want(t, "cookie", b.cookie.Value, before)
			want(t, "number of the next visit", b.visit(s), 42)
			want(t, "name", b.get(s, "name"), any("Ann"))
			want(t, "sessions", len(sessionKeys(t, redistest.Client(t, server))), 1)
		})
	}
}

func TestAFailedWriteChangesNothing(t *testing.T) {
	for name, line := range map[string]string{
		"read-only":      redistest.ReadOnly,
		"cluster down":   redistest.ClusterDown,
		"no permissions": "-NOPERM this user has no permissions",
	} {
		t.Run(name, func(t *testing.T) {
			server := redistest.Start(t)
			proxy := redistest.NewProxy(t, server)
			s := newStore(t, clientWithoutRetries(t, proxy))
			b := &browser{t: t}
			b.set(s, "name", "Ann", "visits", 41)
			proxy.All(redistest.Writes, redistest.Fate{Answer: line})
			for _, visitor := range []*browser{b, {t: t}} {
				w := visitor.request(s, func(c *gin.Context) {
					wantError(t, save(c, "name", "Bob"), redisstore.ErrUnavailable)
					wantError(t, visit(c), redisstore.ErrUnavailable)
				})
				noCookie(t, w)
				w = visitor.request(s, func(c *gin.Context) {
					wantError(t, visit(c), redisstore.ErrUnavailable)
				})
				noCookie(t, w)
			}
			w := b.request(s, func(c *gin.Context) {
				wantError(t, redisstore.Default(c).Destroy(), redisstore.ErrUnavailable)
				wantError(t, redisstore.Default(c).Regenerate(), redisstore.ErrUnavailable)
			})
			noCookie(t, w)
			proxy.Heal()
			want(t, "number of the next visit", b.visit(s), 42)
			want(t, "name", b.get(s, "name"), any("Ann"))
			want(t, "sessions", len(sessionKeys(t, redistest.Client(t, server))), 1)
		})
	}
}

// With a real Redis, which could reveal a half-written session.
func TestARedisThatIsFullWritesNothing(t *testing.T) {
	server := redistest.StartWith(t, redisserver.Options{Config: []string{"maxmemory-policy noeviction"}})
	rdb := client(t, server)
	s := newStore(t, rdb)
	b := &browser{t: t}
	want(t, "number", b.visit(s), 1)
	before := rdb.HGetAll(t.Context(), b.key()).Val()
	must(t, rdb.ConfigSet(t.Context(), "maxmemory", "1").Err())
	for _, visitor := range []*browser{b, {t: t}} {
		w := visitor.request(s, func(c *gin.Context) {
			wantError(t, visit(c), redisstore.ErrFull)
			wantError(t, save(c, "name", "Ann"), redisstore.ErrFull)
		})
		noCookie(t, w)
	}
	if after := rdb.HGetAll(t.Context(), b.key()).Val(); !maps.Equal(after, before) {
		t.Errorf("the session was %q and is %q", before, after)
	}
	want(t, "keys", rdb.DBSize(t.Context()).Val(), 1)
	w := b.request(s, func(c *gin.Context) { must(t, redisstore.Default(c).Destroy()) }) // makes room
	want(t, "cookie lines", len(w.Header()["Set-Cookie"]), 1)
	want(t, "sessions", len(sessionKeys(t, rdb)), 0)
	must(t, rdb.ConfigSet(t.Context(), "maxmemory", "0").Err())
	want(t, "number", b.visit(s), 1)
}

func TestDestroyThatFailsLeavesTheCookie(t *testing.T) {
	server := redistest.Start(t)
	proxy := redistest.NewProxy(t, server)
	s := newStore(t, clientWithoutRetries(t, proxy))
	b := &browser{t: t}
	b.set(s, "name", "Ann")
	proxy.All(redistest.Writes, redistest.Fate{Answer: redistest.ReadOnly})
	w := b.request(s, func(c *gin.Context) {
		wantError(t, redisstore.Default(c).Destroy(), redisstore.ErrUnavailable)
		proxy.Heal()
		// It was not loaded, so it can only be destroyed or counted: the request does not see what is in Redis.
		wantError(t, save(c, "name", "Bob"), redisstore.ErrUnavailable)
	})
	noCookie(t, w)
	want(t, "name", b.get(s, "name"), any("Ann"))
	b.request(s, func(c *gin.Context) {
		proxy.Next(1, redistest.Writes, redistest.Fate{Answer: redistest.ReadOnly})
		wantError(t, redisstore.Default(c).Destroy(), redisstore.ErrUnavailable)
		must(t, redisstore.Default(c).Destroy())
	})
	want(t, "sessions", len(sessionKeys(t, redistest.Client(t, server))), 0)
}

func TestDeadlinesAreHonoured(t *testing.T) {
	const limit = 200 * time.Millisecond
	for name, test := range map[string]struct {
		timeout, deadline, cancelled time.Duration // 0 for none
	}{
		"the request's deadline":                  {deadline: limit},
		"the store's timeout":                     {timeout: limit},
		"the store's, after the visitor has left": {timeout: limit, cancelled: limit / 10},
	} {
		t.Run(name, func(t *testing.T) {
			server := redistest.Start(t)
			var opts []redisstore.Option
			if test.timeout > 0 {
				opts = append(opts, redisstore.WithTimeout(test.timeout))
			}
			s := newStore(t, client(t, server), opts...)
			b := &browser{t: t}
			b.visit(s)
			must(t, server.Pause())
			defer func() { must(t, server.Resume()) }()
			all := operations()
			all["Check"] = func(c *gin.Context) error { return s.Check(c.Request.Context()) }
			for name, operation := range all {
				ctx, cancel := context.WithCancel(t.Context())
				if test.deadline > 0 {
					ctx, cancel = context.WithTimeout(ctx, test.deadline)
				}
				if test.cancelled > 0 {
					time.AfterFunc(test.cancelled, cancel)
				}
				start := time.Now()
				w := sendWith(ctx, s, b.cookies(), func(c *gin.Context) { wantError(t, operation(c), redisstore.ErrUnavailable) })
				if took := time.Since(start); took > 5*limit {
					t.Errorf("%s took %v, want about %v", name, took, limit)
				}
				noCookie(t, w)
				cancel()
			}
		})
	}
}

// wantCancelled fails the test unless err says only that the visitor has left, and does not blame Redis.
func wantCancelled(t *testing.T, err error) {
	t.Helper()
	wantError(t, err, context.Canceled)
	if errors.Is(err, redisstore.ErrUnavailable) {
		t.Errorf("a visitor who left counts as an outage: %v", err)
	}
}

func TestAVisitorWhoLeavesIsNoOutage(t *testing.T) {
	server := redistest.Start(t)
	proxy := redistest.NewProxy(t, server)
	rdb := client(t, proxy, func(o *redis.Options) { o.PoolSize = 1 })
	s := newStore(t, rdb)
	b := &browser{t: t}
	b.visit(s)

	t.Run("before the operation", func(t *testing.T) {
		before := proxy.Seen()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		for _, operation := range operations() {
			w := sendWith(ctx, s, b.cookies(), func(c *gin.Context) { wantCancelled(t, operation(c)) })
			noCookie(t, w)
		}
		want(t, "commands", proxy.Seen()-before, 0)
	})
	t.Run("while a command is under way", func(t *testing.T) {
		connections := rdb.PoolStats().Misses
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		proxy.Next(1, redistest.Scripts, redistest.Fate{Delay: 50 * time.Millisecond})
		time.AfterFunc(10*time.Millisecond, cancel)
		sendWith(ctx, s, b.cookies(), func(c *gin.Context) {
			result, err := redisstore.Default(c).Increment("visits", 1)
			must(t, err)
			want(t, "number", result.Count, 2)
		})
		want(t, "number of the next visit", b.visit(s), 3)
		want(t, "connections that had to be made", rdb.PoolStats().Misses-connections, 0)
	})
	t.Run("in line", func(t *testing.T) {
		held := holdScripts(rdb)
		var wg sync.WaitGroup
		for range 4 { // the number of increments that may be under way at once
			wg.Go(func() { b.tab().visit(s) })
			<-held.arrived
		}
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(10*time.Millisecond, cancel)
		sendWith(ctx, s, b.cookies(), func(c *gin.Context) {
			wantCancelled(t, visit(c))
		})
		for range 4 {
			held.release <- struct{}{}
		}
		wg.Wait()
	})
}

func TestAVisitAbandonedAtItsDeadlineCountsAtMostOnce(t *testing.T) {
	server := redistest.Start(t)
	s := newStore(t, client(t, server))
	b := &browser{t: t}
	b.visit(s)
	must(t, server.Pause())
	const visits = 20
	for range visits {
		b.request(s, func(c *gin.Context) {
			wantError(t, visit(c), redisstore.ErrUnavailable)
		}, within(20*time.Millisecond))
	}
	must(t, server.Resume())
	if n := b.visit(s); n < 2 || n > visits+2 {
		t.Errorf("number after %d abandoned visits = %d", visits, n)
	}
}

// damage replaces the browser's session with something else.
type damage func(ctx context.Context, rdb *redis.Client, key string) error

func field(name, value string) damage {
	return func(ctx context.Context, rdb *redis.Client, key string) error {
		return rdb.HSet(ctx, key, name, value).Err()
	}
}

func replacedBy(write func(ctx context.Context, rdb *redis.Client, key string) error) damage {
	return func(ctx context.Context, rdb *redis.Client, key string) error {
		if err := rdb.Del(ctx, key).Err(); err != nil {
			return err
		}
		return write(ctx, rdb, key)
	}
}

// content returns the value of a key, without what a visit may have counted before it found the damage.
func content(t *testing.T, rdb *redis.Client, key string) string {
	t.Helper()
	if rdb.Type(t.Context(), key).Val() != "hash" {
		return rdb.Dump(t.Context(), key).Val()
	}
	fields := rdb.HGetAll(t.Context(), key).Val()
	for name, value := range fields {
		if remembered := strings.HasPrefix(value, "["); remembered || name == "visits" && value >= "1" && value <= "9" {
			delete(fields, name)
		}
	}
	return fmt.Sprintf("%q", fields)
}

func TestDamagedAndForeignDataIsAnErrorAndStaysAsItIs(t *testing.T) {
	damages := map[string]damage{
		"a string": replacedBy(func(ctx context.Context, rdb *redis.Client, key string) error {
			return rdb.Set(ctx, key, "x", 0).Err()
		}),
		"a list": replacedBy(func(ctx context.Context, rdb *redis.Client, key string) error {
			return rdb.RPush(ctx, key, "x").Err()
		}),
		"a foreign hash":       replacedBy(field("name", "Ann")),
		"no JSON":              field("name", "Ann"),
		"half of a JSON value": field("name", `{"a":`),
		"two JSON values":      field("name", `1 2`),
		"an empty value":       field("name", ""),
		"NUL":                  field("name", "\"a\x00b\""),
		"two NUL":              field("name", "\"a\"\x00forged\x00\"b\""),
		"two fields with NUL": func(ctx context.Context, rdb *redis.Client, key string) error {
			return rdb.HSet(ctx, key, "p", "1\x00q", "r", "1\x00s").Err()
		},
		"binary":                     field("name", "\xff\xfe\x00\x01"),
		"bytes that are not UTF-8":   field("name", "\"\xff\""),
		"a name that is not UTF-8":   field("\xff", "1"),
		"a name that is empty":       field("", "1"),
		"a creation of garbage":      field("@created", "yesterday"),
		"a creation of zero":         field("@created", "0"),
		"a creation of 5,000 digits": field("@created", strings.Repeat("9", 5000)),
		"a lane of garbage":          field("@OTHER.1", "x"),
		"a counter of text":          field("visits", `"1"`),
		"a counter of blanks":        field("visits", " 1"),
		"a counter with a fraction":  field("visits", "1.5"),
		"a counter of garbage":       field("visits", "1x"),
		"a counter of -0":            field("visits", "-0"),
		"a counter of 5,000 digits":  field("visits", strings.Repeat("9", 5000)),
	}
	for name, damage := range damages {
		t.Run(name, func(t *testing.T) {
			onBoth(t, func(t *testing.T, rdb *redis.Client) {
				s := newStore(t, rdb)
				b := &browser{t: t}
				b.visit(s)
				old := b.cookie.Value
				must(t, damage(t.Context(), rdb, b.key()))
				before := content(t, rdb, b.key())

				w := b.request(s, func(c *gin.Context) {
					err := visit(c)
					wantError(t, err, redisstore.ErrCorrupt)
					if err != nil && len(err.Error()) > 200 || strings.Contains(fmt.Sprint(err), b.id()) {
						t.Errorf("error = %v", err)
					}
					wantError(t, save(c, "name", "Bob"), redisstore.ErrCorrupt)
				})
				noCookie(t, w)
				if content(t, rdb, b.key()) != before {
					t.Error("the damaged session was changed")
				}
				key := b.key()
				b.request(s, func(c *gin.Context) {
					wantError(t, visit(c), redisstore.ErrCorrupt)
					must(t, redisstore.Default(c).Abandon())
					result, err := redisstore.Default(c).Increment("visits", 1)
					must(t, err)
					want(t, "number", result.Count, 1)
				})
				if b.cookie.Value == old {
					t.Error("the new session has the old id")
				}
				if after := content(t, rdb, key); after != before {
					t.Error("the abandoned session was changed")
				}
				want(t, "number", b.visit(s), 2)
			})
		})
	}
}

func TestADamagedSessionThatIsLoadedIsNeverSaved(t *testing.T) {
	onBoth(t, func(t *testing.T, rdb *redis.Client) {
		s := newStore(t, rdb)
		b := &browser{t: t}
		b.set(s, "name", "Ann")
		must(t, rdb.HSet(t.Context(), b.key(), "broken", "{").Err())
		w := b.request(s, func(c *gin.Context) {
			want(t, "name", sessions.Default(c).Get("name"), nil)
			wantError(t, save(c, "name", "Bob"), redisstore.ErrCorrupt)
		})
		noCookie(t, w)
		b.destroy(s) // works for a damaged one
		want(t, "sessions", len(sessionKeys(t, rdb)), 0)
	})
}

func TestASessionDamagedAfterTheLoadIsNotWiped(t *testing.T) {
	onBoth(t, func(t *testing.T, rdb *redis.Client) {
		s := newStore(t, rdb)
		b := &browser{t: t}
		b.set(s, "name", "Ann", "town", "Ulm")
		b.request(s, func(c *gin.Context) {
			want(t, "name", sessions.Default(c).Get("name"), any("Ann"))
			must(t, rdb.HSet(t.Context(), b.key(), "broken", "{").Err())
			wantError(t, visit(c), redisstore.ErrCorrupt)
			wantError(t, save(c, "age", 30), redisstore.ErrCorrupt) // as in a program that ignores the error
		})
		fields := rdb.HGetAll(t.Context(), b.key()).Val()
		want(t, "name", fields["name"], `"Ann"`)
		want(t, "town", fields["town"], `"Ulm"`)
	})
}

func TestACounterThatWouldOverflowStaysAsItIs(t *testing.T) {
	const maxCount = 1<<53 - 1
	onBoth(t, func(t *testing.T, rdb *redis.Client) {
		s := newStore(t, rdb)
		for _, test := range []struct{ start, by int64 }{
			{maxCount, 1}, {-maxCount, -1}, {0, math.MaxInt64}, {0, math.MinInt64}, {1, maxCount}, {-maxCount, maxCount + 2}, {maxCount, -maxCount - 2},
		} {
			b := &browser{t: t}
			b.set(s, "n", test.start)
			w := b.request(s, func(c *gin.Context) {
				_, err := redisstore.Default(c).Increment("visits", 1, redisstore.And("n", test.by))
				wantError(t, err, redisstore.ErrOverflow)
			})
			noCookie(t, w)
			want(t, "n", b.get(s, "n"), any(test.start))
			want(t, "visits", b.get(s, "visits"), nil)
		}
		b := &browser{t: t}
		for _, by := range []int64{maxCount - 1, 1, -maxCount, -maxCount} {
			b.request(s, func(c *gin.Context) {
				_, err := redisstore.Default(c).Increment("n", by)
				must(t, err)
			})
		}
		want(t, "n", b.get(s, "n"), any(-maxCount))
	})
}

func TestTooLargeASessionIsNotWritten(t *testing.T) {
	onBoth(t, func(t *testing.T, rdb *redis.Client) {
		s := newStore(t, rdb, redisstore.WithMaxBytes(100))
		b := &browser{t: t}
		w := b.request(s, func(c *gin.Context) {
			wantError(t, save(c, "name", strings.Repeat("x", 95)), redisstore.ErrTooLarge)
		})
		noCookie(t, w)
		want(t, "sessions", len(sessionKeys(t, rdb)), 0)
		b.set(s, "name", strings.Repeat("x", 94)) // and two quotes
		w = b.request(s, func(c *gin.Context) {
			wantError(t, save(c, "n", 1), redisstore.ErrTooLarge)
			wantError(t, visit(c), redisstore.ErrTooLarge)
		})
		noCookie(t, w)
		b.set(s, "name", "x")
		want(t, "number", b.visit(s), 1)
	})
}

func TestASessionOfThousandsOfFields(t *testing.T) {
	onBoth(t, func(t *testing.T, rdb *redis.Client) {
		fields := 9000
		if strings.HasSuffix(t.Name(), "/miniredis") {
			fields = 500 // the Lua of miniredis cannot join more, and it is only for trials
		}
		s := newStore(t, rdb, redisstore.WithMaxBytes(1<<20))
		b := &browser{t: t}
		var values []any
		var more []redisstore.Step
		for i := range fields {
			values = append(values, fmt.Sprintf("f%d", i), i)
			more = append(more, redisstore.And(fmt.Sprintf("f%d", i), 1))
		}
		b.set(s, values...)
		b.request(s, func(c *gin.Context) {
			session := sessions.Default(c)
			want(t, "the last field", session.Get(fmt.Sprintf("f%d", fields-1)), any(fields-1))
			_, err := redisstore.Default(c).Increment("visits", 1, more...)
			must(t, err)
			want(t, "the last field", session.Get(fmt.Sprintf("f%d", fields-1)), any(fields))
			session.Clear()
			must(t, session.Save())
		})
		b.request(s, func(c *gin.Context) {
			session := sessions.Default(c).(interface{ Session() *gsessions.Session }).Session()
			want(t, "values", len(session.Values), 0)
		})
	})
}

func TestASessionMayHoldAsManyBytesAsItSaysAndNoMore(t *testing.T) {
	onBoth(t, func(t *testing.T, rdb *redis.Client) {
		const bytes = len("visits" + "1") // the store's own fields do not count
		b := &browser{t: t}
		want(t, "number", b.visit(newStore(t, rdb, redisstore.WithMaxBytes(bytes))), 1)
		send(newStore(t, rdb, redisstore.WithMaxBytes(bytes-1)), nil, func(c *gin.Context) {
			wantError(t, visit(c), redisstore.ErrTooLarge)
		})
	})
}
