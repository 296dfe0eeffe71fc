package storetest_test

import (
	"math"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/gin-contrib/sessions"
	"github.com/gin-gonic/gin"
	"github.com/redis/go-redis/v9"

	"visit-counter/internal/redistest"
	"visit-counter/redisstore"
)

// aged returns a browser with a session of that age.
func aged(t *testing.T, rdb *redis.Client, s sessions.Store, age time.Duration) *browser {
	t.Helper()
	b := &browser{t: t}
	b.visit(s)
	created, err := rdb.HGet(t.Context(), b.key(), "@created").Int64()
	must(t, err)
	must(t, rdb.HSet(t.Context(), b.key(), "@created", created-age.Milliseconds()).Err())
	return b
}

func wantTTL(t testing.TB, rdb *redis.Client, key string, want time.Duration) {
	t.Helper()
	got := rdb.PTTL(t.Context(), key).Val()
	if got > want || got < want-10*time.Second {
		t.Errorf("time to live = %v, want %v", got, want)
	}
}

func TestTheTimeToLiveSlidesWithEveryUse(t *testing.T) {
	onBoth(t, func(t *testing.T, rdb *redis.Client) {
		s := newStore(t, rdb, redisstore.WithTTL(time.Hour))
		b := &browser{t: t}
		b.visit(s)
		wantTTL(t, rdb, b.key(), time.Hour)
		for name, use := range map[string]gin.HandlerFunc{
			"Increment": func(c *gin.Context) { must(t, visit(c)) },
			"Save":      func(c *gin.Context) { must(t, save(c, "name", "Ann")) },
			"Save of nothing": func(c *gin.Context) {
				session := sessions.Default(c)
				session.Delete("never there")
				must(t, session.Save())
			},
		} {
			t.Run(name, func(t *testing.T) {
				must(t, rdb.Expire(t.Context(), b.key(), time.Minute).Err())
				b.request(s, use)
				wantTTL(t, rdb, b.key(), time.Hour)
			})
		}
		must(t, rdb.Expire(t.Context(), b.key(), time.Minute).Err())
		want(t, "name", b.get(s, "name"), any("Ann")) // reading does not renew it
		wantTTL(t, rdb, b.key(), time.Minute)
	})
}

func TestASessionLivesNoLongerThanItsLifetime(t *testing.T) {
	onBoth(t, func(t *testing.T, rdb *redis.Client) {
		s := newStore(t, rdb, redisstore.WithTTL(time.Hour), redisstore.WithMaxLifetime(10*time.Hour))
		b := aged(t, rdb, s, 9*time.Hour+30*time.Minute)
		want(t, "number", b.visit(s), 2)
		wantTTL(t, rdb, b.key(), 30*time.Minute)
		for _, maxAge := range []int{3600, 30 * 24 * 3600} {
			w := b.request(s, func(c *gin.Context) {
				sessions.Default(c).Options(sessions.Options{Path: "/", MaxAge: maxAge})
				must(t, save(c, "name", "Ann"))
			})
			wantTTL(t, rdb, b.key(), 30*time.Minute)
			if got := w.Result().Cookies()[0].MaxAge; got > 1800 || got < 1700 {
				t.Errorf("Max-Age = %d, want 1800", got)
			}
		}

		for name, use := range map[string]gin.HandlerFunc{
			"Increment": func(c *gin.Context) {
				result, err := redisstore.Default(c).Increment("visits", 1)
				must(t, err)
				want(t, "number", result.Count, 1)
			},
			"Save": func(c *gin.Context) {
				want(t, "visits", sessions.Default(c).Get("visits"), nil)
				must(t, save(c, "name", "Ann"))
			},
		} {
			t.Run(name, func(t *testing.T) {
				b := aged(t, rdb, s, 10*time.Hour)
				old := b.id()
				b.request(s, use)
				if b.id() == old {
					t.Error("the session is the old one")
				}
			})
		}
	})
}

func TestALifetimeThatIsSetLaterEndsOldSessions(t *testing.T) {
	onBoth(t, func(t *testing.T, rdb *redis.Client) {
		b := aged(t, rdb, newStore(t, rdb), 2*time.Hour)
		s := newStore(t, rdb, redisstore.WithMaxLifetime(time.Hour))
		want(t, "visits", b.get(s, "visits"), nil)
		b.request(newStore(t, rdb), func(c *gin.Context) { // an instance with the old setting has loaded it
			want(t, "visits", sessions.Default(c).Get("visits"), any(1))
			want(t, "number", b.tab().visit(s), 1)
			wantError(t, save(c, "name", "Ann"), redisstore.ErrGone)
		})
		want(t, "old session", rdb.Exists(t.Context(), b.key()).Val(), 0)
	})
}

func TestEveryKeyHasATimeToLiveButTheSecret(t *testing.T) {
	rdb := client(t, redistest.Start(t))
	s := newStoreWith(t, rdb, nil)
	for _, use := range []gin.HandlerFunc{
		func(c *gin.Context) { must(t, visit(c)) },
		func(c *gin.Context) { must(t, save(c, "name", "Ann")) },
		func(c *gin.Context) {
			sessions.Default(c).Options(sessions.Options{MaxAge: 0})
			must(t, save(c, "name", "Ann"))
		},
		func(c *gin.Context) {
			sessions.Default(c).Options(sessions.Options{MaxAge: math.MaxInt})
			must(t, save(c, "name", "Ann"))
		},
		func(c *gin.Context) {
			must(t, save(c, "name", "Ann"))
			must(t, redisstore.Default(c).Regenerate())
		},
	} {
		(&browser{t: t}).request(s, use)
	}
	found := rdb.Keys(t.Context(), "*").Val()
	want(t, "keys", len(found), 6)
	for _, key := range found {
		ttl := rdb.PTTL(t.Context(), key).Val()
		if secret := key == secretKey; secret != (ttl < 0) {
			t.Errorf("time to live = %v, secret: %v", ttl, secret)
		}
	}
}

func TestTheMaxAgeOfASessionLasts(t *testing.T) {
	onBoth(t, func(t *testing.T, rdb *redis.Client) {
		const month = 30 * 24 * 3600
		stores := []*redisstore.Store{newStore(t, rdb, redisstore.WithTTL(time.Hour)), newStore(t, rdb, redisstore.WithTTL(time.Hour))}
		give := func(maxAge int) gin.HandlerFunc {
			return func(c *gin.Context) {
				sessions.Default(c).Options(sessions.Options{Path: "/", MaxAge: maxAge})
				must(t, save(c, "name", "Ann"))
			}
		}
		uses := map[string]gin.HandlerFunc{
			"Save":       func(c *gin.Context) { must(t, save(c, "name", "Bob")) },
			"Increment":  func(c *gin.Context) { must(t, visit(c)) },
			"Touch":      func(c *gin.Context) { must(t, redisstore.Default(c).Touch()) },
			"Regenerate": func(c *gin.Context) { must(t, redisstore.Default(c).Regenerate()) },
		}
		for _, test := range []struct {
			given, maxAge int
			ttl           time.Duration
		}{
			{month, month, month * time.Second}, {0, 0, time.Hour}, {3600, 3600, time.Hour}, {60, 60, time.Minute},
		} {
			b := &browser{t: t}
			b.visit(stores[0])
			b.request(stores[0], give(month/2))
			b.request(stores[0], give(test.given))
			for name, use := range uses {
				for _, s := range stores {
					if name != "Regenerate" { // which does not renew
						must(t, rdb.Expire(t.Context(), b.key(), time.Second*30).Err())
					}
					w := b.request(s, use)
					if maxAge := w.Result().Cookies()[0].MaxAge; maxAge > test.maxAge || maxAge < test.maxAge-1 {
						t.Errorf("Max-Age after %s = %d, want %d", name, maxAge, test.maxAge)
					}
					wantTTL(t, rdb, b.key(), test.ttl)
				}
			}
		}
	})
}

func TestADamagedMaxAgeIsCorrupt(t *testing.T) {
	onBoth(t, func(t *testing.T, rdb *redis.Client) {
		s := newStore(t, rdb)
		for _, text := range []string{"", "x", "-1", "1.5", "99999999999"} {
			b := &browser{t: t}
			b.visit(s)
			must(t, rdb.HSet(t.Context(), b.key(), "@maxage", text).Err())
			b.request(s, func(c *gin.Context) {
				wantError(t, visit(c), redisstore.ErrCorrupt)
			})
			b.request(s, func(c *gin.Context) { wantError(t, redisstore.Default(c).Load(), redisstore.ErrCorrupt) })
		}
	})
}

func TestOnlyTheClockOfRedisCounts(t *testing.T) {
	for name, skew := range map[string]time.Duration{"behind": -6 * time.Minute, "ahead": 6 * time.Minute} {
		t.Run(name, func(t *testing.T) {
			server := miniredis.RunT(t)
			server.SetTime(time.Now().Add(skew))
			rdb := redis.NewClient(&redis.Options{Addr: server.Addr(), ContextTimeoutEnabled: true})
			t.Cleanup(func() { must(t, rdb.Close()) })
			s := newStore(t, rdb, redisstore.WithMaxLifetime(5*time.Minute))
			b := &browser{t: t}
			b.set(s, "user", "ann")
			want(t, "user", b.get(s, "user"), any("ann"))
			want(t, "number", b.visit(s), 1)
			b.set(s, "name", "Ann")
			server.SetTime(time.Now().Add(skew + 5*time.Minute))
			want(t, "user after the lifetime", b.get(s, "user"), nil)
		})
	}
}
