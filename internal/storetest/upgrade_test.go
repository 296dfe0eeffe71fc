package storetest_test

import (
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/gin-contrib/sessions"
	"github.com/gin-gonic/gin"
	"github.com/redis/go-redis/v9"
)

// The previous version had ids of 27 characters without a hash tag, stored no types, and remembered increments in another
// form.
func TestSessionsOfTheVersionBeforeAreRead(t *testing.T) {
	const id = "VQ6EAOKbQdSnFkRmVUQAAaaBBcc"
	signed := signedCookie(keys("a")[0], id)
	onBoth(t, func(t *testing.T, rdb *redis.Client) {
		s := newStore(t, rdb)
		b := &browser{t: t, cookie: &http.Cookie{Name: cookieName, Value: signed}}
		second := strconv.FormatInt(time.Now().Unix(), 10)
		must(t, rdb.HSet(t.Context(), b.key(), "@created", "1795252800000", "@TQ3VLGMW2K.0", "["+second+",118,118,12]",
			"@TQ3VLGMW2K.1", "["+second+",117,117,11,3]", "visits", "12", "user", `"ann"`, "weight", "2.0", "roles", `["admin"]`).Err())
		must(t, rdb.Expire(t.Context(), b.key(), time.Hour).Err())
		want(t, "user", b.get(s, "user"), any("ann"))
		want(t, "weight", b.get(s, "weight"), any(2.0))
		want(t, "number", b.visit(s), 13)
		want(t, "cookie", b.cookie.Value, signed)
		b.set(s, "user", "bob")
		b.regenerate(s)
		want(t, "length of the new id", len(b.id()), 29)
		want(t, "user", b.get(s, "user"), any("bob"))
		b.request(s, func(c *gin.Context) {
			roles, _ := sessions.Default(c).Get("roles").([]any)
			want(t, "roles", len(roles), 1)
		})
		want(t, "number", b.visit(s), 14)
	})
}
