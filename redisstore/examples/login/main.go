// Login is a small app with its sessions in the Redis of this machine: it logs in, remembers, logs out and counts visits.
package main

import (
	"errors"
	"log"
	"net/http"

	"github.com/gin-contrib/sessions"
	"github.com/gin-gonic/gin"
	"github.com/redis/go-redis/v9"

	"visit-counter/redisstore"
)

func main() {
	rdb := redis.NewClient(&redis.Options{Addr: "127.0.0.1:6379", ContextTimeoutEnabled: true})
	store, err := redisstore.New(rdb, nil) // nil: the processes share a random secret in Redis
	if err != nil {
		log.Fatal(err)
	}
	log.Fatal(routes(store).Run()) // at PORT, or 8080
}

// routes returns the app.
func routes(store sessions.Store) *gin.Engine {
	router := gin.Default()
	router.Use(sessions.Sessions("session", store))
	router.GET("/", visit)
	router.POST("/login", login)
	router.POST("/logout", logout)
	router.GET("/account", redisstore.Require(fail), account)
	return router
}

// login gives the session a new id, so that the old one is worthless.
func login(c *gin.Context) {
	if err := redisstore.Default(c).Regenerate(); err != nil {
		fail(c, err)
		return
	}
	session := sessions.Default(c)
	session.Set("user", c.PostForm("user")) // where the password has been checked
	if c.PostForm("remember") != "" {
		session.Options(sessions.Options{Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode, MaxAge: 30 * 24 * 3600})
	}
	if err := session.Save(); err != nil {
		fail(c, err)
		return
	}
	c.Status(http.StatusNoContent)
}

// logout ends the session, even if a slow request still writes to it.
func logout(c *gin.Context) {
	if err := redisstore.Default(c).Destroy(); err != nil {
		fail(c, err)
		return
	}
	c.Status(http.StatusNoContent)
}

// account only reads. Require has seen to it that the session is loaded.
func account(c *gin.Context) {
	user, ok := sessions.Default(c).Get("user").(string)
	if !ok {
		c.String(http.StatusForbidden, "Please log in.\n")
		return
	}
	c.JSON(http.StatusOK, gin.H{"user": user})
}

// visit counts. Increment has loaded the session, so that reading it costs nothing more.
func visit(c *gin.Context) {
	result, err := redisstore.Default(c).Increment("visits", 1)
	if err != nil {
		fail(c, err)
		return
	}
	user := sessions.Default(c).Get("user")
	c.JSON(http.StatusOK, gin.H{"visits": result.Count, "user": user})
}

// fail answers with what a client can do about it.
func fail(c *gin.Context, err error) {
	if errors.Is(err, redisstore.ErrUnavailable) {
		c.String(http.StatusServiceUnavailable, "Please come back in a moment.\n")
		return
	}
	_ = c.Error(err)
	c.String(http.StatusInternalServerError, "Sorry.\n")
}
