package storetest_test

import (
	"context"
	"net/http"
	"testing"

	"github.com/gin-contrib/sessions"
	"github.com/gin-contrib/sessions/cookie"
	"github.com/gin-gonic/gin"
	"github.com/redis/go-redis/v9"

	"visit-counter/redisstore"
)

// If a middleware after Sessions gives the request a new context, as every timeout does, gin-contrib/sessions still has the
// old *http.Request.
func TestARequestMayBeReplacedAfterTheSessionsMiddleware(t *testing.T) {
	onBoth(t, func(t *testing.T, rdb *redis.Client) {
		s := newStore(t, rdb)
		b := &browser{t: t}
		replaced := func(handler gin.HandlerFunc) gin.HandlerFunc {
			return func(c *gin.Context) {
				c.Request = c.Request.WithContext(context.WithoutCancel(c.Request.Context()))
				handler(c)
			}
		}
		for number := int64(1); number <= 3; number++ {
			b.request(s, replaced(func(c *gin.Context) {
				result, err := redisstore.Default(c).Increment("visits", 1)
				must(t, err)
				want(t, "number", result.Count, number)
			}))
		}
		b.request(s, replaced(func(c *gin.Context) { must(t, save(c, "name", "Ann")) }))
		want(t, "name", b.get(s, "name"), any("Ann"))
		old := b.id()
		b.request(s, replaced(func(c *gin.Context) { must(t, redisstore.Default(c).Regenerate()) }))
		if b.id() == old {
			t.Error("Regenerate kept the id")
		}
		b.request(s, replaced(func(c *gin.Context) { must(t, redisstore.Default(c).Destroy()) }))
		if b.cookie != nil || len(sessionKeys(t, rdb)) != 0 {
			t.Error("Destroy left a session")
		}
	})
}

func TestIncrementAfterTheSessionWasRead(t *testing.T) {
	onBoth(t, func(t *testing.T, rdb *redis.Client) {
		s := newStore(t, rdb)
		(&browser{t: t}).visit(s) // so that Redis knows the script
		b := &browser{t: t}
		b.set(s, "name", "Ann", "colour", "red", "age", 30)
		b.request(s, func(c *gin.Context) {
			session := sessions.Default(c)
			want(t, "name", session.Get("name"), any("Ann"))
			session.Set("name", "Bob")  // unsaved
			session.Delete("colour")    // unsaved
			session.Set("visits", 1000) // unsaved: the counter wins
			b.tab().set(s, "age", 31, "town", "Ulm")
			sent := recordScripts(rdb)
			result, err := redisstore.Default(c).Increment("visits", 2)
			must(t, err)
			want(t, "count", result.Count, 2)
			want(t, "commands", len(*sent), 1)
			for name, value := range map[string]any{"name": "Bob", "colour": nil, "visits": 2, "age": 31, "town": "Ulm"} {
				want(t, name, session.Get(name), value)
			}
			must(t, session.Save())
		})
		for name, value := range map[string]any{"name": "Bob", "colour": nil, "visits": 2, "age": 31, "town": "Ulm"} {
			want(t, name+" in the next request", b.get(s, name), value)
		}
	})
}

func TestIncrementOfANewSessionKeepsWhatIsUnsaved(t *testing.T) {
	onBoth(t, func(t *testing.T, rdb *redis.Client) {
		s := newStore(t, rdb)
		b := &browser{t: t}
		b.request(s, func(c *gin.Context) {
			session := sessions.Default(c)
			session.Set("name", "Ann")
			result, err := redisstore.Default(c).Increment("visits", 1)
			must(t, err)
			want(t, "created", result.Created, true)
			want(t, "name", session.Get("name"), any("Ann"))
			want(t, "visits", session.Get("visits"), any(1))
			must(t, session.Save())
		})
		want(t, "name", b.get(s, "name"), any("Ann"))
		want(t, "sessions", len(sessionKeys(t, rdb)), 1)
	})
}

func TestSaveAfterIncrementWritesOnlyWhatChanged(t *testing.T) {
	onBoth(t, func(t *testing.T, rdb *redis.Client) {
		s := newStore(t, rdb)
		b := &browser{t: t}
		b.visit(s)
		b.request(s, func(c *gin.Context) {
			must(t, visit(c))
			b.tab().visit(s)
			must(t, save(c, "name", "Ann"))
		})
		want(t, "visits", b.get(s, "visits"), any(3))
		want(t, "name", b.get(s, "name"), any("Ann"))
	})
}

func TestNamedSessionsOfOneRequestAreApart(t *testing.T) {
	onBoth(t, func(t *testing.T, rdb *redis.Client) {
		s := newStore(t, rdb)
		several := sessions.SessionsMany([]string{"one", "two"}, s)
		w := serve(newRequest(t.Context()), several, func(c *gin.Context) {
			one, two := sessions.DefaultMany(c, "one"), sessions.DefaultMany(c, "two")
			one.Set("name", "Ann")
			two.Set("name", "Bob")
			must(t, one.Save())
			must(t, two.Save())
			result, err := redisstore.Named(c, "two").Increment("visits", 5)
			must(t, err)
			want(t, "count", result.Count, 5)
			want(t, "visits of one", one.Get("visits"), nil)
			want(t, "visits of two", two.Get("visits"), any(5))
		})
		cookies := w.Result().Cookies()
		want(t, "cookies", len(cookies), 2)
		want(t, "sessions", len(sessionKeys(t, rdb)), 2)
		serve(newRequest(t.Context(), cookies...), several, func(c *gin.Context) {
			must(t, redisstore.Named(c, "two").Destroy())
			want(t, "name in one", sessions.DefaultMany(c, "one").Get("name"), any("Ann"))
			want(t, "name in two", sessions.DefaultMany(c, "two").Get("name"), nil)
			must(t, s.Session(c.Writer, c.Request.WithContext(context.WithoutCancel(c.Request.Context())), "one").Regenerate())
		})
		want(t, "sessions", len(sessionKeys(t, rdb)), 1)
	})
}

func TestWorksWithoutGin(t *testing.T) {
	onBoth(t, func(t *testing.T, rdb *redis.Client) {
		s := newStore(t, rdb)
		b := &browser{t: t}
		plain := func(handler http.HandlerFunc) {
			t.Helper()
			w := newAnswer()
			handler(w, newRequest(t.Context(), b.cookies()...))
			b.keep(w)
		}
		for n := int64(1); n <= 2; n++ {
			plain(func(w http.ResponseWriter, r *http.Request) {
				result, err := s.Session(w, r, cookieName).Increment("visits", 1)
				must(t, err)
				want(t, "count", result.Count, n)
				session, err := s.Get(r, cookieName)
				must(t, err)
				want(t, "visits", session.Values["visits"], any(int(n)))
			})
		}
		plain(func(w http.ResponseWriter, r *http.Request) {
			session, err := s.Get(r, cookieName)
			must(t, err)
			session.Values["name"] = "Ann"
			must(t, session.Save(r.WithContext(context.WithoutCancel(r.Context())), w))
		})
		old := b.id()
		plain(func(w http.ResponseWriter, r *http.Request) {
			session, err := s.New(r, cookieName) // without the registry
			must(t, err)
			want(t, "name", session.Values["name"], any("Ann"))
			session.Values["name"] = "Bob"
			must(t, s.Save(r, w, session))
			must(t, s.Session(w, r, cookieName).Regenerate())
		})
		if b.id() == old {
			t.Error("Regenerate kept the id")
		}
		want(t, "name", b.get(s, "name"), any("Bob"))
		plain(func(w http.ResponseWriter, r *http.Request) { must(t, s.Session(w, r, cookieName).Destroy()) })
		want(t, "sessions", len(sessionKeys(t, rdb)), 0)
	})
}

func TestAnInvalidCookieNameIsAnError(t *testing.T) {
	s := newStore(t, unreachable(t))
	if _, err := s.Session(newAnswer(), newRequest(t.Context()), "no name").Increment("visits", 1); err == nil {
		t.Error("no error from Increment for a cookie name with a space")
	}
	serve(newRequest(t.Context()), sessions.Sessions("no name", s), func(c *gin.Context) {
		if visit(c) == nil {
			t.Error("no error from Increment behind a middleware with a space in its cookie name")
		}
		if redisstore.Default(c).Destroy() == nil || redisstore.Default(c).Regenerate() == nil || redisstore.Default(c).Abandon() == nil {
			t.Error("no error from Destroy, Regenerate or Abandon")
		}
	})
}

func TestARouteWithoutItsSessionIsAnError(t *testing.T) {
	s := newStore(t, unreachable(t))
	for name, middleware := range map[string]gin.HandlerFunc{
		"no middleware":   func(*gin.Context) {},
		"several by name": sessions.SessionsMany([]string{"a", "b"}, s),
	} {
		t.Run(name, func(t *testing.T) {
			asked := false
			noCookie(t, serve(newRequest(t.Context()), middleware, func(c *gin.Context) {
				asked = true
				refusesAll(t, c)
			}))
			want(t, "asked", asked, true)
		})
	}
}

// refusesAll fails the test unless every operation on a request's default session returns ErrInvalid.
func refusesAll(t *testing.T, c *gin.Context) {
	t.Helper()
	for _, session := range []*redisstore.Session{redisstore.Default(c), redisstore.Named(c, "c")} {
		_, err := session.Increment("visits", 1)
		wantError(t, err, redisstore.ErrInvalid)
		for _, operation := range []func() error{session.Load, session.Touch, session.Destroy, session.Abandon, session.Regenerate} {
			wantError(t, operation(), redisstore.ErrInvalid)
		}
	}
}

func TestASessionOfAnotherStoreIsRefused(t *testing.T) {
	s := newStore(t, unreachable(t))
	other := cookie.NewStore(keys("o")[0])
	w := send(other, nil, func(c *gin.Context) {
		refusesAll(t, c)
		session, err := other.Get(c.Request, cookieName)
		must(t, err)
		wantError(t, s.Save(c.Request, c.Writer, session), redisstore.ErrInvalid)
	})
	noCookie(t, w)
}
