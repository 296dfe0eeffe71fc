package storetest_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/gin-contrib/sessions"
	"github.com/gin-gonic/gin"
	"github.com/redis/go-redis/v9"

	"visit-counter/internal/redistest"
	"visit-counter/redisstore"
)

func TestAFailedLoadCanBeSeen(t *testing.T) {
	server := redistest.Start(t)
	proxy := redistest.NewProxy(t, server)
	s := newStore(t, clientWithoutRetries(t, proxy))
	b := &browser{t: t}
	b.set(s, "name", "Ann")
	served := 0
	page := func(c *gin.Context) {
		served++
		c.String(http.StatusOK, "%v", sessions.Default(c).Get("name"))
	}
	ask := func(b *browser) *httptest.ResponseRecorder {
		required := redisstore.Require(func(c *gin.Context, err error) {
			wantError(t, err, redisstore.ErrUnavailable)
			c.String(http.StatusServiceUnavailable, "away")
		})
		w := serve(newRequest(t.Context(), b.cookies()...), sessions.Sessions(cookieName, s), required, page)
		noCookie(t, w)
		return w
	}
	before := proxy.Seen()
	want(t, "page", ask(b).Body.String(), "Ann")
	want(t, "commands", proxy.Seen()-before, 1)
	want(t, "page without a session", ask(&browser{t: t}).Body.String(), "<nil>")
	proxy.All(redistest.Reads, redistest.Fate{Answer: redistest.Loading})
	w := ask(b)
	want(t, "status", w.Code, http.StatusServiceUnavailable)
	want(t, "page", w.Body.String(), "away")
	want(t, "pages served", served, 2)
	b.request(s, func(c *gin.Context) {
		wantError(t, redisstore.Default(c).Load(), redisstore.ErrUnavailable)
		proxy.Heal()
		wantError(t, redisstore.Default(c).Load(), redisstore.ErrUnavailable) // without asking Redis again
	})
	must(t, redistest.Client(t, server).HSet(t.Context(), b.key(), "broken", "{").Err())
	b.request(s, func(c *gin.Context) { wantError(t, redisstore.Default(c).Load(), redisstore.ErrCorrupt) })
}

func TestTouchRenewsAndLoadsWithOneCommand(t *testing.T) {
	server := redistest.Start(t)
	proxy := redistest.NewProxy(t, server)
	rdb := redistest.Client(t, server)
	s := newStore(t, client(t, proxy), redisstore.WithTTL(time.Hour))
	b := &browser{t: t}
	b.set(s, "name", "Ann")
	touch := func(c *gin.Context) { must(t, redisstore.Default(c).Touch()) }
	b.request(s, touch) // so that Redis knows the script
	must(t, rdb.Expire(t.Context(), b.key(), time.Minute).Err())
	before := proxy.Seen()
	w := b.request(s, func(c *gin.Context) {
		touch(c)
		want(t, "name", sessions.Default(c).Get("name"), any("Ann"))
	})
	want(t, "commands", proxy.Seen()-before, 1)
	want(t, "Max-Age", w.Result().Cookies()[0].MaxAge, 3600)
	wantTTL(t, rdb, b.key(), time.Hour)

	b.request(s, func(c *gin.Context) {
		session := sessions.Default(c)
		session.Set("name", "Bob")
		touch(c)
		want(t, "name", session.Get("name"), any("Bob"))
	})
	want(t, "name, which was not saved", b.get(s, "name"), any("Ann"))
}

func TestTouchTellsThatASessionIsGone(t *testing.T) {
	onBoth(t, func(t *testing.T, rdb *redis.Client) {
		s := newStore(t, rdb)
		gone := func(c *gin.Context) { wantError(t, redisstore.Default(c).Touch(), redisstore.ErrGone) }
		noCookie(t, send(s, nil, gone))
		b := &browser{t: t}
		b.set(s, "name", "Ann")
		old := b.id()
		b.request(s, func(c *gin.Context) {
			must(t, redisstore.Default(c).Touch())
			b.tab().destroy(s)
			gone(c)
			gone(c)
		})
		noCookie(t, b.request(s, gone))
		want(t, "sessions", len(sessionKeys(t, rdb)), 0)
		b.request(s, func(c *gin.Context) {
			gone(c)
			must(t, save(c, "name", "Bob")) // a new session
		})
		if b.id() == old {
			t.Error("the new session has the old id")
		}
	})
}

// A stream or a WebSocket checks from time to time whether its session is still there.
func TestTouchAfterTheAnswerHasBegun(t *testing.T) {
	onBoth(t, func(t *testing.T, rdb *redis.Client) {
		s := newStore(t, rdb, redisstore.WithTTL(time.Hour))
		b := &browser{t: t}
		b.set(s, "name", "Ann")
		must(t, rdb.Expire(t.Context(), b.key(), time.Minute).Err())
		w := b.request(s, func(c *gin.Context) {
			session := redisstore.Default(c)
			must(t, session.Load())
			c.String(http.StatusOK, "first part")
			must(t, session.Touch())
			wantTTL(t, rdb, b.key(), time.Hour)
			must(t, rdb.Del(t.Context(), b.key()).Err())
			wantError(t, session.Touch(), redisstore.ErrGone)
		})
		noCookie(t, w)
	})
}

func TestASaveAfterTheAnswerHasBegunWritesNothing(t *testing.T) {
	onBoth(t, func(t *testing.T, rdb *redis.Client) {
		s := newStore(t, rdb)
		b := &browser{t: t}
		b.set(s, "name", "Ann")
		for _, visitor := range []*browser{b, {t: t}} {
			w := visitor.request(s, func(c *gin.Context) {
				session := redisstore.Default(c)
				must(t, session.Load())
				c.String(http.StatusOK, "first part")
				wantError(t, save(c, "name", "Bob"), redisstore.ErrInvalid)
				_, err := session.Increment("visits", 1)
				wantError(t, err, redisstore.ErrInvalid)
				wantError(t, session.Regenerate(), redisstore.ErrInvalid)
			})
			noCookie(t, w)
		}
		want(t, "name", b.get(s, "name"), any("Ann"))
		want(t, "visits", b.get(s, "visits"), nil)
		want(t, "sessions", len(sessionKeys(t, rdb)), 1)
	})
}

func TestASessionIsNeverNil(t *testing.T) {
	s := newStore(t, unreachable(t))
	for _, name := range []string{"my:session", "", "a b", "a;b", "é"} {
		r, w := newRequest(t.Context()), newAnswer()
		for range 2 {
			session, err := s.Get(r, name)
			wantError(t, err, redisstore.ErrInvalid)
			if session == nil {
				t.Fatalf("Get(%q) returned no session", name)
			}
			wantError(t, s.Save(r, w, session), redisstore.ErrInvalid)
			wantError(t, s.Session(w, r, name).Load(), redisstore.ErrInvalid)
		}
		noCookie(t, w)
		noCookie(t, serve(newRequest(t.Context()), sessions.Sessions(name, s), func(c *gin.Context) {
			want(t, "value", sessions.Default(c).Get("name"), nil)
			wantError(t, save(c, "name", "Ann"), redisstore.ErrInvalid)
		}))
	}
}
