package main

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/alexedwards/scs/goredisstore"
	"github.com/alexedwards/scs/v2"
	"github.com/gin-contrib/sessions"
	redigostore "github.com/gin-contrib/sessions/redis"
	"github.com/gin-gonic/gin"
	"github.com/redis/go-redis/v9"
)

//go:embed page.html
var pageSource string

// serve runs one of the programs that the app is compared with: GET / counts a visit and shows the small page, POST /reset
// ends the session. All show the same page with the same bare Gin; they differ only in the session.
func serve(name string) error {
	gin.SetMode(gin.ReleaseMode)
	engine := gin.New()
	engine.SetHTMLTemplate(template.Must(template.New("page").Parse(pageSource)))
	addr := os.Getenv("REDIS_ADDR")
	var handler http.Handler = engine
	switch name {
	case "bare":
		bare(engine)
	case "limit":
		limit(engine, redis.NewClient(&redis.Options{Addr: addr}))
	case "lua":
		targetLua(engine, redis.NewClient(&redis.Options{Addr: addr}))
	case "redigo":
		if err := ginContrib(engine, addr); err != nil {
			return err
		}
	case "scs":
		handler = withSCS(engine, redis.NewClient(&redis.Options{Addr: addr}))
	default:
		return fmt.Errorf("unknown program %q", name)
	}
	server := &http.Server{Addr: "127.0.0.1:" + os.Getenv("PORT"), Handler: handler, ReadHeaderTimeout: 5 * time.Second}
	return server.ListenAndServe()
}

// show answers with the page.
func show(c *gin.Context, store string, visits int64) {
	c.HTML(http.StatusOK, "page", gin.H{"Visits": visits, "Program": "gin", "Store": store})
}

// bare has no store. It shows what HTTP and the page cost.
func bare(engine *gin.Engine) {
	var visits atomic.Int64
	engine.GET("/", func(c *gin.Context) { show(c, "this process", visits.Add(1)) })
}

// limit is the minimum cost of a count in Redis: an id that anyone could forge, and one HINCRBY.
func limit(engine *gin.Engine, rdb *redis.Client) {
	const cookie, prefix = "id", "limit:"
	engine.GET("/", func(c *gin.Context) {
		id, err := c.Cookie(cookie)
		if err != nil {
			id = rand.Text()
			c.SetCookie(cookie, id, 86400, "/", "", false, true)
		}
		visits, err := rdb.HIncrBy(c.Request.Context(), prefix+id, "visits", 1).Result()
		if err != nil {
			_ = c.AbortWithError(http.StatusServiceUnavailable, err)
			return
		}
		show(c, "Redis", visits)
	})
	engine.POST("/reset", func(c *gin.Context) {
		id, _ := c.Cookie(cookie) // none: nothing to delete
		if err := rdb.Del(c.Request.Context(), prefix+id).Err(); err != nil {
			_ = c.AbortWithError(http.StatusServiceUnavailable, err)
		}
	})
}

// luaVisit is the minimum that a store with one round trip has to do: count in an existing session, and renew it.
var luaVisit = redis.NewScript(`
	if ARGV[1] == 'old' and redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
	local visits = redis.call('HINCRBY', KEYS[1], 'visits', 1)
	redis.call('PEXPIRE', KEYS[1], 86400000)
	return visits`)

// targetLua is the minimum cost of a store with one round trip: a signed cookie, and one short script per visit.
func targetLua(engine *gin.Engine, rdb *redis.Client) {
	const cookie, prefix = "id", "lua:"
	secret := []byte(rand.Text())
	sign := func(id string) string {
		mac := hmac.New(sha256.New, secret)
		mac.Write([]byte(id))
		return id + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
	}
	engine.GET("/", func(c *gin.Context) {
		value, _ := c.Cookie(cookie) // none: a new session
		id, _, _ := strings.Cut(value, ".")
		known := id != "" && hmac.Equal([]byte(value), []byte(sign(id)))
		var visits int64
		var err error
		if known {
			visits, err = luaVisit.Run(c.Request.Context(), rdb, []string{prefix + id}, "old").Int64()
		}
		if err == nil && visits == 0 {
			id = rand.Text()
			visits, err = luaVisit.Run(c.Request.Context(), rdb, []string{prefix + id}, "new").Int64()
		}
		if err != nil {
			_ = c.AbortWithError(http.StatusServiceUnavailable, err)
			return
		}
		c.SetCookie(cookie, sign(id), 86400, "/", "", false, true)
		show(c, "Redis", visits)
	})
	engine.POST("/reset", func(c *gin.Context) {
		value, _ := c.Cookie(cookie)
		id, _, _ := strings.Cut(value, ".")
		if err := rdb.Del(c.Request.Context(), prefix+id).Err(); err != nil {
			_ = c.AbortWithError(http.StatusServiceUnavailable, err)
		}
	})
}

// ginContrib uses the Redis store of gin-contrib/sessions as its README shows it.
func ginContrib(engine *gin.Engine, addr string) error {
	store, err := redigostore.NewStore(10, "tcp", addr, "", "", []byte("secret"))
	if err != nil {
		return err
	}
	engine.Use(sessions.Sessions("mysession", store))
	engine.GET("/", func(c *gin.Context) {
		session := sessions.Default(c)
		count := 1
		if v := session.Get("count"); v != nil {
			count = v.(int) + 1
		}
		session.Set("count", count)
		if err := session.Save(); err != nil {
			_ = c.AbortWithError(http.StatusServiceUnavailable, err)
			return
		}
		show(c, "Redis", int64(count))
	})
	engine.POST("/reset", func(c *gin.Context) {
		session := sessions.Default(c)
		session.Options(sessions.Options{Path: "/", MaxAge: -1})
		if err := session.Save(); err != nil {
			_ = c.AbortWithError(http.StatusServiceUnavailable, err)
		}
	})
	return nil
}

// withSCS uses scs with its go-redis store, as their READMEs show them.
func withSCS(engine *gin.Engine, rdb *redis.Client) http.Handler {
	manager := scs.New()
	manager.Store = goredisstore.New(rdb)
	engine.GET("/", func(c *gin.Context) {
		count := manager.GetInt(c.Request.Context(), "count") + 1
		manager.Put(c.Request.Context(), "count", count)
		show(c, "Redis", int64(count))
	})
	engine.POST("/reset", func(c *gin.Context) {
		if err := manager.Destroy(c.Request.Context()); err != nil {
			_ = c.AbortWithError(http.StatusServiceUnavailable, err)
		}
	})
	return manager.LoadAndSave(engine)
}
