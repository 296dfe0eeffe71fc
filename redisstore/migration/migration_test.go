package migration

import (
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/gin-contrib/sessions"
	"github.com/gin-contrib/sessions/redis"
	"github.com/gin-gonic/gin"
	goredis "github.com/redis/go-redis/v9"

	"visit-counter/redisstore"
)

var key = []byte(strings.Repeat("k", 32))

// options are the options that the programs set on their store.
var options = sessions.Options{Path: "/", MaxAge: day, HttpOnly: true}

// before opens gin-contrib's store, for which the programs were written.
func before(address string, _ []any) (sessions.Store, error) {
	return redis.NewStore(10, "tcp", address, "", key)
}

// after opens redisstore: these two calls are all that a program changes.
func after(address string, types []any) (sessions.Store, error) {
	rdb := goredis.NewClient(&goredis.Options{Addr: address, ContextTimeoutEnabled: true})
	return redisstore.New(rdb, [][]byte{key}, redisstore.WithTypes(types...))
}

func TestProgramsAnswerAsBefore(t *testing.T) {
	gin.SetMode(gin.ReleaseMode)
	for _, p := range programs {
		t.Run(p.name, func(t *testing.T) {
			old, moved := visit(t, p, before), visit(t, p, after)
			for i := range old {
				if old[i] != moved[i] {
					t.Errorf("before: %s\n after: %s", old[i], moved[i])
				}
			}
			if log := strings.Join(moved, "\n"); !strings.Contains(log, "200") || strings.Contains(log, "500") {
				t.Errorf("the program does not work:\n%s", log)
			}
		})
	}
}

// visit sends the requests of a program. For each it returns a line with the status, text and cookies of the answer, and the
// time to live of the sessions in Redis.
func visit(t *testing.T, p program, open func(string, []any) (sessions.Store, error)) (log []string) {
	t.Helper()
	server := miniredis.RunT(t)
	start := func() *httptest.Server {
		store, err := open(server.Addr(), p.types)
		if err != nil {
			t.Fatal(err)
		}
		store.Options(options)
		router := gin.New()
		router.Use(gin.CustomRecoveryWithWriter(io.Discard, func(c *gin.Context, _ any) { c.AbortWithStatus(http.StatusInternalServerError) }))
		if len(p.cookies) == 1 {
			router.Use(sessions.Sessions(p.cookies[0], store))
		} else {
			router.Use(sessions.SessionsMany(p.cookies, store))
		}
		p.routes(router)
		return httptest.NewServer(router)
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	browser := &http.Client{Jar: jar}
	app := start()
	address := app.URL // a new one after each restart; cookies ignore the port
	defer func() { app.Close() }()
	for i, request := range p.requests {
		if request == "restart" {
			app.Close()
			app = start()
			address = app.URL
			continue
		}
		server.FastForward(time.Minute)
		method, path, _ := strings.Cut(request, " ")
		r, err := http.NewRequest(method, address+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := browser.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(answer.Body)
		if err != nil {
			t.Fatal(err)
		}
		_ = answer.Body.Close()
		var line strings.Builder
		line.WriteString(fmt.Sprintf("%d %s: %d %s", i, request, answer.StatusCode, text))
		for _, c := range answer.Cookies() {
			line.WriteString(fmt.Sprintf(" | %s Path=%s Max-Age=%d HttpOnly=%t", c.Name, c.Path, c.MaxAge, c.HttpOnly))
		}
		lives := make([]time.Duration, 0, 2)
		for _, key := range server.Keys() {
			lives = append(lives, server.TTL(key).Round(time.Minute))
		}
		log = append(log, fmt.Sprint(line.String(), " | ", total(lives)))
	}
	return log
}

// total adds up the times to live of the sessions. The two stores name their keys differently, so the order differs.
func total(lives []time.Duration) (sum time.Duration) {
	for _, d := range lives {
		sum += d
	}
	return sum
}
