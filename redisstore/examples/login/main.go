// Login is a small app with its sessions in the Redis of this machine: it counts visits, logs in and logs out.
package main

import (
	"context"
	"errors"
	"log"
	"net/http"
	"time"

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
	router.Use(limited, sessions.Sessions("session", store))
	router.GET("/", visit)
	router.POST("/login", login)
	router.POST("/logout", logout)
	return router
}

// limited gives each request a second, so that nobody waits longer for a Redis that is away. It belongs before the
// sessions.
func limited(c *gin.Context) {
	ctx, cancel := context.WithTimeout(c.Request.Context(), time.Second)
	defer cancel()
	c.Request = c.Request.WithContext(ctx)
	c.Next()
}

// visit counts. Increment has loaded the session, so that reading it costs nothing more.
func visit(c *gin.Context) {
	result, err := redisstore.Increment(c, "visits", 1)
	if err != nil {
		fail(c, err)
		return
	}
	user := sessions.Default(c).Get("user")
	c.JSON(http.StatusOK, gin.H{"visits": result.Count, "user": user})
}

// login gives the session a new id: whoever knew the old one knows nothing now.
func login(c *gin.Context) {
	if err := redisstore.Regenerate(c); err != nil {
		fail(c, err)
		return
	}
	session := sessions.Default(c)
	session.Set("user", c.PostForm("user")) // where the password has been checked
	if err := session.Save(); err != nil {
		fail(c, err)
		return
	}
	c.Status(http.StatusNoContent)
}

// logout ends the session, whatever a slow request still writes.
func logout(c *gin.Context) {
	if err := redisstore.Destroy(c); err != nil {
		fail(c, err)
		return
	}
	c.Status(http.StatusNoContent)
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
