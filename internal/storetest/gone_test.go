package storetest_test

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/gin-contrib/sessions"
	"github.com/gin-gonic/gin"
	"github.com/redis/go-redis/v9"

	"visit-counter/internal/redistest"
	"visit-counter/redisstore"
)

// raceRounds is even: in half of the rounds of a race, the session is gone before the write goes on.
const raceRounds = 200

// race holds a write of one request just before it is sent while another request destroys the session. In every other round
// the session is gone before the write goes on; in the others both run at once. round gets a browser with a session, does the
// write and checks its outcome.
func race(t *testing.T, round func(b *browser, slow *redisstore.Store)) {
	server := redistest.Start(t)
	watcher := redistest.Client(t, server)
	slowClient := client(t, server)
	quick, slow := newStore(t, client(t, server)), newStore(t, slowClient)
	(&browser{t: t}).visit(slow) // so that Redis knows the scripts
	(&browser{t: t}).set(slow, "n", 1)
	held := holdScripts(slowClient)
	must(t, watcher.FlushDB(t.Context()).Err())

	for i := range raceRounds {
		b := &browser{t: t}
		b.visit(quick)
		key := b.key()
		var wg sync.WaitGroup
		wg.Go(func() { round(b.tab(), slow) })
		<-held.arrived
		var destroyed sync.WaitGroup
		destroyed.Go(func() {
			b.request(quick, func(c *gin.Context) {
				if err := redisstore.Default(c).Destroy(); err != nil {
					t.Errorf("destroy: %v", err)
				}
			})
		})
		if i%2 == 0 {
			destroyed.Wait()
		}
		held.release <- struct{}{}
		released := make(chan struct{})
		go func() { // if the handler sends more commands after the write
			for {
				select {
				case <-held.arrived:
					held.release <- struct{}{}
				case <-released:
					return
				}
			}
		}()
		wg.Wait()
		destroyed.Wait()
		close(released)
		n, err := watcher.Exists(t.Context(), key).Result()
		must(t, err)
		if n != 0 {
			t.Fatalf("round %d: the destroyed session is back", i)
		}
	}
}

func TestASlowSaveNeverBringsADestroyedSessionBack(t *testing.T) {
	gone := 0
	race(t, func(b *browser, slow *redisstore.Store) {
		w := b.request(slow, func(c *gin.Context) {
			switch err := save(c, "late", true); {
			case errors.Is(err, redisstore.ErrGone):
				gone++
			case err != nil:
				t.Errorf("save: %v", err)
			default:
				c.Header("Saved", "yes")
			}
		})
		if w.Header().Get("Saved") == "" {
			noCookie(t, w)
		}
	})
	if gone < raceRounds/2 {
		t.Errorf("ErrGone %d times, want at least %d: the rounds in which Destroy came first", gone, raceRounds/2)
	}
}

func TestASlowIncrementNeverBringsADestroyedSessionBack(t *testing.T) {
	fresh := 0
	race(t, func(b *browser, slow *redisstore.Store) {
		b.request(slow, func(c *gin.Context) {
			result, err := redisstore.Default(c).Increment("visits", 1)
			if err != nil {
				t.Errorf("increment: %v", err)
			}
			if result.Created {
				fresh++
				if sessions.Default(c).ID() == b.id() || result.Count != 1 {
					t.Errorf("the new session has the old id, or begins with %d", result.Count)
				}
			}
		})
	})
	if fresh < raceRounds/2 {
		t.Errorf("%d new sessions, want at least %d: the rounds in which Destroy came first", fresh, raceRounds/2)
	}
}

func TestAFailedSaveLeavesNoKeyBehind(t *testing.T) {
	for name, test := range map[string]struct {
		end  func(*browser, sessions.Store)
		left int // sessions
	}{"destroyed": {(*browser).destroy, 0}, "regenerated": {(*browser).regenerate, 1}} {
		t.Run(name, func(t *testing.T) {
			onBoth(t, func(t *testing.T, rdb *redis.Client) {
				s := newStore(t, rdb)
				b := &browser{t: t}
				b.set(s, "name", "Ann")
				other := b.tab()
				w := b.request(s, func(c *gin.Context) {
					want(t, "name", sessions.Default(c).Get("name"), any("Ann"))
					test.end(other, s)
					wantError(t, save(c, "name", "Bob"), redisstore.ErrGone)
					wantError(t, save(c, "name", "Cid"), redisstore.ErrGone)
					wantError(t, visit(c), redisstore.ErrGone)
					wantError(t, redisstore.Default(c).Regenerate(), redisstore.ErrGone)
				})
				noCookie(t, w)
				want(t, "sessions", len(sessionKeys(t, rdb)), test.left)
				if test.left > 0 {
					want(t, "name", other.get(s, "name"), any("Ann"))
				}
			})
		})
	}
}

func TestASessionThatExpiredSinceTheLoadIsGone(t *testing.T) {
	server := redistest.Start(t)
	rdb := client(t, server)
	s := newStore(t, rdb)
	b := &browser{t: t}
	b.set(s, "name", "Ann")
	b.request(s, func(c *gin.Context) {
		want(t, "name", sessions.Default(c).Get("name"), any("Ann"))
		must(t, rdb.PExpire(t.Context(), b.key(), time.Millisecond).Err())
		redistest.Wait(t, "the session to expire", func() bool { return rdb.Exists(t.Context(), b.key()).Val() == 0 })
		wantError(t, save(c, "name", "Bob"), redisstore.ErrGone)
	})
	old := b.id()
	b.request(s, func(c *gin.Context) { want(t, "name", sessions.Default(c).Get("name"), nil) })
	b.set(s, "name", "Cid")
	if b.id() == old {
		t.Error("a new session got the id of an expired one")
	}
}

func TestAbandonGoesOnAfterASessionIsGone(t *testing.T) {
	onBoth(t, func(t *testing.T, rdb *redis.Client) {
		s := newStore(t, rdb)
		b := &browser{t: t}
		b.set(s, "name", "Ann")
		old := b.id()
		b.request(s, func(c *gin.Context) {
			want(t, "name", sessions.Default(c).Get("name"), any("Ann"))
			must(t, rdb.Del(t.Context(), b.key()).Err())
			wantError(t, visit(c), redisstore.ErrGone)
			must(t, redisstore.Default(c).Abandon())
			must(t, visit(c))
			want(t, "name", sessions.Default(c).Get("name"), nil)
		})
		if b.id() == old {
			t.Error("the new session has the old id")
		}
	})
}

func TestDestroy(t *testing.T) {
	onBoth(t, func(t *testing.T, rdb *redis.Client) {
		s := newStore(t, rdb)
		b := &browser{t: t}
		b.visit(s)
		old := b.cookie
		for range 2 { // destroying a session that is gone is not an error
			b.cookie = old
			w := b.request(s, func(c *gin.Context) {
				must(t, redisstore.Default(c).Destroy())
				must(t, redisstore.Default(c).Destroy())
				want(t, "visits", sessions.Default(c).Get("visits"), nil)
			})
			want(t, "cookie lines", len(w.Header()["Set-Cookie"]), 1)
			if b.cookie != nil {
				t.Error("the cookie was not expired")
			}
			want(t, "sessions", len(sessionKeys(t, rdb)), 0)
		}
		b.destroy(s) // nor is destroying one that never was

		b.cookie = old
		want(t, "number after Destroy", b.visit(s), 1)
		if b.cookie.Value == old.Value {
			t.Error("the cookie of a destroyed session was accepted")
		}
		second := b.id()
		b.request(s, func(c *gin.Context) {
			must(t, redisstore.Default(c).Destroy())
			must(t, save(c, "name", "Ann")) // a new session in the same request
		})
		if b.id() == second {
			t.Error("the new session has the old id")
		}
		want(t, "name", b.get(s, "name"), any("Ann"))
		want(t, "visits", b.get(s, "visits"), nil)
		want(t, "sessions", len(sessionKeys(t, rdb)), 1)
	})
}

func TestNegativeMaxAgeDestroys(t *testing.T) {
	onBoth(t, func(t *testing.T, rdb *redis.Client) {
		ends := sessions.Options{Path: "/", MaxAge: -1}
		s, ending := newStore(t, rdb), newStore(t, rdb)
		ending.Options(ends)
		for _, of := range []*redisstore.Store{s, ending} {
			b := &browser{t: t}
			b.set(s, "name", "Ann")
			b.request(of, func(c *gin.Context) {
				session := sessions.Default(c)
				session.Clear()
				if of == s {
					session.Options(ends)
				}
				must(t, session.Save())
			})
			if b.cookie != nil {
				t.Error("the cookie was not expired")
			}
			want(t, "sessions", len(sessionKeys(t, rdb)), 0)
		}
	})
}

func TestRegenerate(t *testing.T) {
	onBoth(t, func(t *testing.T, rdb *redis.Client) {
		s := newStore(t, rdb, redisstore.WithTTL(time.Hour))
		b := &browser{t: t}
		b.regenerate(s) // nothing is stored yet
		want(t, "sessions", len(sessionKeys(t, rdb)), 0)

		b.set(s, "name", "Ann")
		old := *b.cookie
		oldKey := b.key()
		b.request(s, func(c *gin.Context) {
			session := sessions.Default(c)
			session.Set("user", 7)
			must(t, redisstore.Default(c).Regenerate())
			must(t, session.Save())
		})
		if b.cookie.Value == old.Value {
			t.Fatal("the cookie is the old one")
		}
		want(t, "sessions", len(sessionKeys(t, rdb)), 1)
		want(t, "old session", rdb.Exists(t.Context(), oldKey).Val(), 0)
		want(t, "name", b.get(s, "name"), any("Ann"))
		want(t, "user", b.get(s, "user"), any(7))
		if ttl := rdb.PTTL(t.Context(), b.key()).Val(); ttl <= 0 || ttl > time.Hour {
			t.Errorf("time to live = %v", ttl)
		}
		thief := &browser{t: t, cookie: &old}
		want(t, "name under the old cookie", thief.get(s, "name"), nil)
		want(t, "number under the old cookie", thief.visit(s), 1)
	})
}

func TestRegenerateIsSafeToRepeat(t *testing.T) {
	server := redistest.Start(t)
	proxy := redistest.NewProxy(t, server)
	s := newStore(t, client(t, proxy))
	b := &browser{t: t}
	b.set(s, "name", "Ann")
	regenerate := func(c *gin.Context) { must(t, redisstore.Default(c).Regenerate()) }
	b.request(s, regenerate) // so that Redis knows the script
	proxy.Next(1, redistest.Scripts, redistest.Fate{Cut: true})
	b.request(s, regenerate)
	want(t, "replies lost", proxy.Affected(), 1)
	want(t, "name", b.get(s, "name"), any("Ann"))
}

func TestWorksInACluster(t *testing.T) {
	server, _, rdb := cluster(t)
	for _, prefix := range []string{redisstore.DefaultPrefix, "{tag}:", "}"} {
		t.Run(prefix, func(t *testing.T) {
			s := newStoreWith(t, rdb, nil, redisstore.WithPrefix(prefix))
			b := &browser{t: t}
			b.set(s, "name", "Ann")
			for range 5 { // a script of two keys in different slots would be refused
				old := b.id()
				b.regenerate(s)
				if b.id() == old {
					t.Fatal("the id is the old one")
				}
			}
			want(t, "name", b.get(s, "name"), any("Ann"))
			want(t, "number", b.visit(s), 1)
			b.destroy(s)
		})
	}
	want(t, "sessions", len(sessionKeys(t, redistest.Client(t, server))), 0)
}

func TestEveryLogInSurvivesInARing(t *testing.T) {
	const logins = 40
	shards := map[string]string{"one": redistest.Start(t).Addr(), "two": redistest.Start(t).Addr()}
	rdb := redis.NewRing(&redis.RingOptions{Addrs: shards, ContextTimeoutEnabled: true})
	t.Cleanup(func() { must(t, rdb.Close()) })
	s := newStoreWith(t, rdb, nil)
	must(t, s.Check(t.Context()))
	for range logins {
		b := &browser{t: t}
		b.visit(s)
		b.request(s, func(c *gin.Context) {
			must(t, redisstore.Default(c).Regenerate())
			must(t, save(c, "user", "ann"))
		})
		want(t, "user", b.get(s, "user"), any("ann"))
		want(t, "number", b.visit(s), 2)
	}
	for name, addr := range shards {
		shard := redis.NewClient(&redis.Options{Addr: addr})
		if n := len(sessionKeys(t, shard)); n == 0 || n == logins {
			t.Errorf("shard %s has %d of %d sessions", name, n, logins)
		}
		must(t, shard.Close())
	}
}
