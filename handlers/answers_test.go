package handlers_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/alicebob/miniredis/v2/server"
	"github.com/redis/go-redis/v9"
)

// The app notices a damaged session only after it has counted the visit and renewed the cookie. If Redis goes away at that
// moment, the app refuses the visit, and the browser must keep its old cookie.
func TestRefusalSetsNoCookie(t *testing.T) {
	mini := miniredis.RunT(t)
	rdb := redis.NewClient(&redis.Options{Addr: mini.Addr(), ContextTimeoutEnabled: true, MaxRetries: -1})
	t.Cleanup(func() { _ = rdb.Close() })
	routes := process(t, rdb, "web.1", time.Now())
	v := visitor{t: t}
	v.get(routes, "application/json")
	session := ""
	for _, key := range mini.Keys() {
		if strings.HasPrefix(key, "gin:session:") {
			session = key
		}
	}
	mini.HSet(session, "process:no time", "1")
	counted := false
	mini.Server().SetPreHook(func(c *server.Peer, cmd string, _ ...string) bool {
		if cmd != "EVALSHA" { // the hook also sees the commands that the script calls
			return false
		}
		if counted {
			c.WriteError("LOADING Redis is loading the dataset in memory")
			return true
		}
		counted = true
		return false
	})
	request := httptest.NewRequest(http.MethodGet, "/", nil)
	request.Header.Set("Cookie", v.cookie)
	answer := httptest.NewRecorder()
	routes.ServeHTTP(answer, request)
	if visits := mini.HGet(session, "visits"); visits != "2" {
		t.Fatalf("the session has %q visits, want 2: Redis went away too early", visits)
	}
	if answer.Code != http.StatusServiceUnavailable || answer.Header().Get("Set-Cookie") != "" {
		t.Errorf("status %d with the cookie %q, want 503 without one", answer.Code, answer.Header().Get("Set-Cookie"))
	}
}
