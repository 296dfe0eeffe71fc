package redisstore_test

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/gin-contrib/sessions"
	"github.com/gin-contrib/sessions/cookie"
	"github.com/gin-gonic/gin"

	"visit-counter/redisstore"
)

// carryOver moves the fields of a visitor's old session into a session of the new store, once, and ends the old session.
// Use it after the Sessions middleware of the new store. The two stores need cookies with different names.
func carryOver(old sessions.Store, oldName string, fields ...string) gin.HandlerFunc {
	return func(c *gin.Context) {
		if _, err := c.Request.Cookie(oldName); err != nil {
			return // this visitor has no old session
		}
		before, err := old.Get(c.Request, oldName)
		session := sessions.Default(c)
		if err != nil || before.IsNew || session.ID() != "" {
			return
		}
		for _, field := range fields {
			if value, ok := before.Values[field]; ok {
				session.Set(field, value)
			}
		}
		if session.Save() != nil {
			return // nothing is lost: the next request tries again
		}
		before.Options.MaxAge = -1
		if err := before.Save(c.Request, c.Writer); err != nil {
			_ = c.Error(err) // the old session expires by itself
		}
	}
}

// Here the old store keeps sessions in cookies, because that needs no second server. In a real program it is the store of
// github.com/gin-contrib/sessions/redis.
func Example_migration() {
	rdb, stop := startRedis()
	defer stop()
	old := cookie.NewStore([]byte(strings.Repeat("o", 32)))
	store, err := redisstore.New(rdb, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	router := gin.New()
	router.GET("/before", sessions.Sessions("mysession", old), func(c *gin.Context) {
		session := sessions.Default(c)
		session.Set("user", "ann")
		c.String(http.StatusOK, "%v", session.Save())
	})
	router.GET("/", sessions.Sessions("session", store), carryOver(old, "mysession", "user"), func(c *gin.Context) {
		c.String(http.StatusOK, "%v", sessions.Default(c).Get("user"))
	})

	browse(router, "/", "/before", "/", "/")
	// Output:
	// / 200 <nil>
	// /before 200 <nil>
	// / 200 ann
	// / 200 ann
}
