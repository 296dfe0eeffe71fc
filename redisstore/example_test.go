package redisstore_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"strings"

	"github.com/alicebob/miniredis/v2"
	"github.com/gin-contrib/sessions"
	"github.com/gin-gonic/gin"
	"github.com/redis/go-redis/v9"

	"visit-counter/redisstore"
)

// startRedis stands in for the Redis of a real program, whose address comes from the configuration.
func startRedis() (rdb *redis.Client, stop func()) {
	server, err := miniredis.Run()
	if err != nil {
		panic(err)
	}
	rdb = redis.NewClient(&redis.Options{Addr: server.Addr(), ContextTimeoutEnabled: true})
	return rdb, func() {
		_ = rdb.Close()
		server.Close()
	}
}

// browse sends GET requests with one cookie jar, like a browser, and prints the answers.
func browse(program http.Handler, paths ...string) {
	server := httptest.NewServer(program)
	defer server.Close()
	jar, err := cookiejar.New(nil)
	if err != nil {
		panic(err)
	}
	visitor := http.Client{Jar: jar}
	for _, path := range paths {
		answer, err := visitor.Get(server.URL + path)
		if err != nil {
			panic(err)
		}
		text, err := io.ReadAll(answer.Body)
		if err != nil {
			panic(err)
		}
		_ = answer.Body.Close()
		fmt.Println(path, answer.StatusCode, string(text))
	}
}

func Example() {
	rdb, stop := startRedis()
	defer stop()

	store, err := redisstore.New(rdb, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	router := gin.New()
	router.Use(sessions.Sessions("session", store))
	router.GET("/", func(c *gin.Context) {
		result, err := redisstore.Default(c).Increment("visits", 1)
		if errors.Is(err, redisstore.ErrUnavailable) {
			c.String(http.StatusServiceUnavailable, "please come back in a moment")
			return
		}
		if err != nil {
			c.String(http.StatusInternalServerError, "sorry")
			return
		}
		c.String(http.StatusOK, "visit %d", result.Count)
	})

	browse(router, "/", "/", "/")
	// Output:
	// / 200 visit 1
	// / 200 visit 2
	// / 200 visit 3
}

func ExampleStore_Session() {
	rdb, stop := startRedis()
	defer stop()
	store, err := redisstore.New(rdb, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	handler := func(w http.ResponseWriter, r *http.Request) {
		result, err := store.Session(w, r, "session").Increment("visits", 1)
		if err != nil {
			http.Error(w, "please come back in a moment", http.StatusServiceUnavailable)
			return
		}
		_, _ = fmt.Fprintf(w, "visit %d", result.Count)
	}
	browse(http.HandlerFunc(handler), "/", "/")
	// Output:
	// / 200 visit 1
	// / 200 visit 2
}

func ExampleStore_Save() {
	rdb, stop := startRedis()
	defer stop()
	store, err := redisstore.New(rdb, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	router := gin.New()
	router.Use(sessions.Sessions("session", store))
	router.GET("/order", func(c *gin.Context) {
		session := sessions.Default(c)
		session.Set("basket", map[string]int{"apples": 3})
		session.Set("note", "ring twice")
		if err := session.Save(); err != nil {
			c.String(http.StatusServiceUnavailable, "your order was not saved")
			return
		}
		c.String(http.StatusOK, "saved")
	})
	router.GET("/basket", func(c *gin.Context) {
		session := sessions.Default(c)
		basket, _ := session.Get("basket").(map[string]int) // the same type as was set
		c.String(http.StatusOK, "%d apples, %v", basket["apples"], session.Get("note"))
	})

	browse(router, "/order", "/basket")
	// Output:
	// /order 200 saved
	// /basket 200 3 apples, ring twice
}

func ExampleSession_Regenerate() {
	rdb, stop := startRedis()
	defer stop()
	store, err := redisstore.New(rdb, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	router := gin.New()
	router.Use(sessions.Sessions("session", store))
	router.GET("/", func(c *gin.Context) {
		_, err := redisstore.Default(c).Increment("visits", 1)
		c.String(http.StatusOK, "user %v, error %v", sessions.Default(c).Get("user"), err)
	})
	router.GET("/login", func(c *gin.Context) {
		session := sessions.Default(c)
		before := session.ID()
		if err := redisstore.Default(c).Regenerate(); err != nil { // the old id, which others may know, is now useless
			c.String(http.StatusServiceUnavailable, "please try again")
			return
		}
		session.Set("user", "ann")
		if err := session.Save(); err != nil {
			c.String(http.StatusServiceUnavailable, "please try again")
			return
		}
		c.String(http.StatusOK, "new id: %v", session.ID() != before)
	})

	browse(router, "/", "/login", "/")
	// Output:
	// / 200 user <nil>, error <nil>
	// /login 200 new id: true
	// / 200 user ann, error <nil>
}

func ExampleSession_Destroy() {
	rdb, stop := startRedis()
	defer stop()
	store, err := redisstore.New(rdb, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	router := gin.New()
	router.Use(sessions.Sessions("session", store))
	router.GET("/", func(c *gin.Context) {
		result, err := redisstore.Default(c).Increment("visits", 1)
		c.String(http.StatusOK, "visit %d, error %v", result.Count, err)
	})
	router.GET("/logout", func(c *gin.Context) {
		if err := redisstore.Default(c).Destroy(); err != nil {
			c.String(http.StatusServiceUnavailable, "you are still logged in")
			return
		}
		c.String(http.StatusOK, "bye")
	})

	browse(router, "/", "/", "/logout", "/")
	// Output:
	// / 200 visit 1, error <nil>
	// / 200 visit 2, error <nil>
	// /logout 200 bye
	// / 200 visit 1, error <nil>
}

// Put the new key first, and keep the old one after it until the cookies that it signed have expired: each use of a session
// signs its cookie again, with the first key.
func ExampleNew_rotation() {
	rdb, stop := startRedis()
	defer stop()
	// From the configuration, in a real program: at least 32 random bytes each.
	oldKey, newKey := []byte(strings.Repeat("o", 32)), []byte(strings.Repeat("n", 32))

	program := http.NewServeMux()
	for path, keys := range map[string][][]byte{
		"/before": {oldKey}, "/rotated": {newKey, oldKey}, "/retired": {newKey},
	} {
		store, err := redisstore.New(rdb, keys)
		if err != nil {
			fmt.Println(err)
			return
		}
		program.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			result, err := store.Session(w, r, "session").Increment("visits", 1)
			_, _ = fmt.Fprintf(w, "visit %d, error %v", result.Count, err)
		})
	}

	browse(program, "/before", "/rotated", "/retired", "/before")
	// Output:
	// /before 200 visit 1, error <nil>
	// /rotated 200 visit 2, error <nil>
	// /retired 200 visit 3, error <nil>
	// /before 200 visit 1, error <nil>
}
