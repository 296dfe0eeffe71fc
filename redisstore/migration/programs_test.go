package migration

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/gob"
	"encoding/hex"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/gin-contrib/sessions"
	"github.com/gin-gonic/gin"
)

// program is a typical program for any sessions.Store.
type program struct {
	name     string
	cookies  []string // the names of its session cookies
	types    []any    // the types that it registers
	routes   func(*gin.Engine)
	requests []string // from one browser, as "METHOD /path"; "restart" restarts the program
}

const day = 24 * 3600

var programs = []program{
	{
		name: "roles and ids", cookies: []string{"session"}, routes: roles,
		requests: []string{
			"GET /me", "POST /login", "GET /me", "GET /me", "GET /admin", "restart", "GET /admin", "POST /logout", "GET /me", "GET /admin",
		},
	},
	{
		name: "a sliding expiry", cookies: []string{"session"}, types: []any{time.Time{}}, routes: expiry,
		requests: []string{"GET /page", "POST /login", "GET /page", "GET /page", "restart", "GET /page", "POST /expire", "GET /page", "POST /logout", "GET /page"},
	},
	{
		name: "groups that decide access", cookies: []string{"session"}, types: []any{[]string{}, map[string]int{}}, routes: groups,
		requests: []string{"GET /reports", "POST /login", "GET /reports", "POST /join", "GET /reports", "restart", "GET /reports", "POST /logout", "GET /reports"},
	},
	{
		name: "structs, flashes, stay logged in", cookies: []string{"auth", "preferences"}, types: []any{user{}, flash{}}, routes: account,
		requests: []string{
			"GET /", "POST /theme", "POST /login", "GET /", "GET /", "restart", "GET /", "POST /stay", "GET /", "restart", "GET /",
			"POST /logout", "GET /", "GET /",
		},
	},
	{
		name: "a CSRF token", cookies: []string{"session"}, routes: csrf,
		requests: []string{
			"POST /form", "GET /form", "POST /form?token=wrong", "POST /form", "GET /form", "restart", "POST /form", "POST /logout", "POST /form",
		},
	},
}

// end is a logout that works with both stores.
func end(c *gin.Context) {
	session := sessions.Default(c)
	session.Clear()
	session.Options(sessions.Options{Path: "/", MaxAge: -1})
	save(c, session)
}

func save(c *gin.Context, session sessions.Session) {
	if err := session.Save(); err != nil {
		c.AbortWithStatus(http.StatusInternalServerError)
		return
	}
	c.Status(http.StatusNoContent)
}

func roles(router *gin.Engine) {
	router.POST("/login", func(c *gin.Context) {
		session := sessions.Default(c)
		session.Set("user_id", uint(7))
		session.Set("organisation", int64(1)<<40)
		session.Set("role", 2)
		save(c, session)
	})
	router.GET("/me", func(c *gin.Context) {
		id := sessions.Default(c).Get("user_id")
		if id == nil {
			c.String(http.StatusOK, "guest")
			return
		}
		c.String(http.StatusOK, "user %d of %d", id.(uint), sessions.Default(c).Get("organisation").(int64))
	})
	router.GET("/admin", func(c *gin.Context) {
		if role, ok := sessions.Default(c).Get("role").(int); !ok || role < 2 {
			c.String(http.StatusForbidden, "no")
			return
		}
		c.String(http.StatusOK, "welcome")
	})
	router.POST("/logout", end)
}

func expiry(router *gin.Engine) {
	set := func(c *gin.Context, in time.Duration) {
		session := sessions.Default(c)
		session.Set("expires", time.Now().Add(in))
		save(c, session)
	}
	router.POST("/login", func(c *gin.Context) { set(c, time.Hour) })
	router.POST("/expire", func(c *gin.Context) { set(c, -time.Second) })
	router.GET("/page", func(c *gin.Context) {
		session := sessions.Default(c)
		expires := session.Get("expires")
		if expires == nil || time.Now().After(expires.(time.Time)) {
			c.String(http.StatusUnauthorized, "please log in")
			return
		}
		set(c, time.Hour)
		c.String(http.StatusOK, "%v", time.Until(expires.(time.Time)).Round(time.Minute))
	})
	router.POST("/logout", end)
}

func groups(router *gin.Engine) {
	router.POST("/login", func(c *gin.Context) {
		session := sessions.Default(c)
		session.Set("groups", []string{"staff"})
		session.Set("limits", map[string]int{"reports": 3})
		save(c, session)
	})
	router.POST("/join", func(c *gin.Context) {
		session := sessions.Default(c)
		session.Set("groups", append(session.Get("groups").([]string), "auditors"))
		save(c, session)
	})
	router.GET("/reports", func(c *gin.Context) {
		session := sessions.Default(c)
		groups, _ := session.Get("groups").([]string)
		if !slices.Contains(groups, "auditors") {
			c.String(http.StatusForbidden, "not for %v", groups)
			return
		}
		c.String(http.StatusOK, "%d reports", session.Get("limits").(map[string]int)["reports"])
	})
	router.POST("/logout", end)
}

type user struct {
	ID      uint
	Name    string
	Roles   []string
	Since   time.Time
	Manager *user
	Extra   map[string]any
}

type flash struct{ Kind, Text string }

func account(router *gin.Engine) {
	// The old store does not keep a MaxAge beyond a request, so programs set it on each one.
	stay := func(c *gin.Context) sessions.Session {
		session := sessions.DefaultMany(c, "auth")
		if kept, _ := session.Get("stay").(bool); kept {
			session.Options(sessions.Options{Path: "/", HttpOnly: true, MaxAge: 30 * day})
		}
		return session
	}
	router.POST("/theme", func(c *gin.Context) {
		session := sessions.DefaultMany(c, "preferences")
		session.Set("theme", "dark")
		session.Set("zoom", 1.0)
		save(c, session)
	})
	router.POST("/login", func(c *gin.Context) {
		session := stay(c)
		session.Set("user", user{
			ID: 7, Name: "Ann", Roles: []string{"admin"}, Since: time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC),
			Manager: &user{ID: 1, Name: "Bob"}, Extra: map[string]any{"logins": int64(3)},
		})
		session.AddFlash(flash{"info", "welcome"})
		session.AddFlash("a second one")
		save(c, session)
	})
	router.POST("/stay", func(c *gin.Context) {
		sessions.DefaultMany(c, "auth").Set("stay", true)
		save(c, stay(c))
	})
	router.GET("/", func(c *gin.Context) {
		session, preferences := stay(c), sessions.DefaultMany(c, "preferences")
		ann, ok := session.Get("user").(user)
		if !ok {
			c.String(http.StatusOK, "guest, %v", preferences.Get("theme"))
			return
		}
		var text strings.Builder
		text.WriteString(fmt.Sprintf("%s %v since %v, led by %s, %d logins, %v %.1f", ann.Name, ann.Roles, ann.Since, ann.Manager.Name,
			ann.Extra["logins"].(int64), preferences.Get("theme"), preferences.Get("zoom")))
		for _, message := range session.Flashes() {
			if f, ok := message.(flash); ok {
				text.WriteString(", " + f.Kind + ": " + f.Text)
			} else {
				text.WriteString(", " + message.(string))
			}
		}
		save(c, session)
		c.String(http.StatusOK, text.String())
	})
	router.POST("/logout", func(c *gin.Context) {
		session := sessions.DefaultMany(c, "auth")
		session.Clear()
		session.Options(sessions.Options{Path: "/", MaxAge: -1})
		save(c, session)
	})
}

func csrf(router *gin.Engine) {
	token := func(salt []byte) string {
		mac := hmac.New(sha256.New, []byte("the program's own key"))
		mac.Write(salt)
		return hex.EncodeToString(mac.Sum(nil))
	}
	router.GET("/form", func(c *gin.Context) {
		session := sessions.Default(c)
		salt, ok := session.Get("salt").([]byte)
		if !ok {
			salt = []byte{0, 255, 7} // random in a real program
			session.Set("salt", salt)
			save(c, session)
		}
		c.String(http.StatusOK, token(salt))
	})
	router.POST("/form", func(c *gin.Context) {
		salt, ok := sessions.Default(c).Get("salt").([]byte)
		if sent := c.DefaultQuery("token", token([]byte{0, 255, 7})); !ok || sent != token(salt) {
			c.String(http.StatusForbidden, "forged")
			return
		}
		c.String(http.StatusOK, "done")
	})
	router.POST("/logout", end)
}

func init() {
	for _, p := range programs {
		for _, value := range p.types {
			gob.Register(value) // as the programs did for the old store
		}
	}
}
