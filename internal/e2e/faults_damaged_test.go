package e2e

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"visit-counter/internal/redistest"
)

// damage replaces a session, or a part of it, with something that the app has not written.
type damage func(ctx context.Context, rdb *redis.Client, key string) error

// set changes the value of a field. A name that ends with ":" stands for the row of the process that counted the visits.
func set(field, value string) damage {
	return func(ctx context.Context, rdb *redis.Client, key string) error {
		if strings.HasSuffix(field, ":") {
			for name := range rdb.HGetAll(ctx, key).Val() {
				if strings.HasPrefix(name, field) {
					return rdb.HSet(ctx, key, name, value).Err()
				}
			}
		}
		return rdb.HSet(ctx, key, field, value).Err()
	}
}

// The tests of the store prove what it considers damage. These cases damage the app's own fields, with three examples of the
// others.
func damages() map[string]damage {
	return map[string]damage{
		"a foreign hash": func(ctx context.Context, rdb *redis.Client, key string) error {
			rdb.Del(ctx, key)
			return rdb.HSet(ctx, key, "name", "Ann", "visits", "12").Err()
		},
		"a list": func(ctx context.Context, rdb *redis.Client, key string) error {
			rdb.Del(ctx, key)
			return rdb.RPush(ctx, key, "12").Err()
		},
		"a field that is no JSON":                set("text", "plain text"),
		"a count of garbage":                     set("visits", "12x"),
		"a count of 5,000 digits":                set("visits", strings.Repeat("9", 5000)),
		"a count that is negative":               set("visits", "-5"),
		"a count below its rows":                 set("visits", "1"),
		"the greatest count":                     set("visits", "9007199254740991"),
		"a row of garbage":                       set("process:", "x"),
		"a row with more than the count":         set("process:", "1000"),
		"a row without a time":                   set("process:no time", "1"),
		"a row that is negative":                 set("process:2026-01-02T03:04:05.678Z other", "-4"),
		"a row with too many":                    set("process:2026-01-02T03:04:05.678Z other", "9223372036854775807"),
		"earlier processes of garbage":           set("earlier_processes", "NaN"),
		"earlier processes that are negative":    set("earlier_processes", "-1"),
		"a row more than a session may hold yet": tooLarge,
	}
}

// tooLarge leaves no room for the row of this process.
func tooLarge(ctx context.Context, rdb *redis.Client, key string) error {
	for name := range rdb.HGetAll(ctx, key).Val() {
		if strings.HasPrefix(name, "process:") {
			rdb.HDel(ctx, key, name)
		}
	}
	return rdb.HSet(ctx, key, "essay", `"`+strings.Repeat("x", 20_000)+`"`).Err()
}

func TestDamagedSessionIsSetAsideAndTheVisitorGetsANewOne(t *testing.T) {
	t.Parallel()
	const setAside = "damaged session set aside"
	server := redistest.Start(t)
	rdb := redistest.Client(t, server)
	i := start(t, "REDIS_URL="+server.URL())
	for name, damage := range damages() {
		t.Run(name, func(t *testing.T) {
			v := newVisitor(t, i.url)
			count(t, v, 3, i)
			old, key := v.Clone(), sessionKey(v)
			must(t, damage(t.Context(), rdb, key))
			logged := i.output.count(setAside)
			count(t, v, 2, i)
			if sessionID(v) == sessionID(old) {
				t.Error("the new session has the old id")
			}
			i.awaitLog(t, setAside, logged+1)
			if n := i.output.count(setAside) - logged; n != 1 {
				t.Errorf("%d log lines", n)
			}
			if rdb.Exists(t.Context(), key).Val() != 1 {
				t.Error("the damaged session is gone")
			}
			if answer := request(t, old, http.MethodPost, "/reset"); answer.Status != http.StatusSeeOther || rdb.Exists(t.Context(), key).Val() != 0 {
				t.Errorf("reset of a damaged session: %d", answer.Status)
			}
		})
	}
	for line := range strings.Lines(i.output.String()) {
		if len(line) > 500 {
			t.Errorf("a log line has %d characters: %s…", len(line), line[:200])
		}
	}
}
