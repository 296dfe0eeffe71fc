package e2e

import (
	"context"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"visit-counter/internal/redistest"
)

// damage is something that may lie under a session's key, or in its fields, and is not a session.
type damage struct {
	name string
	do   func(ctx context.Context, rdb *redis.Client, key string, session map[string]string) error
}

// instead puts something else in the place of the session.
func instead(name string, put func(ctx context.Context, rdb *redis.Client, key string) error) damage {
	return damage{name, func(ctx context.Context, rdb *redis.Client, key string, _ map[string]string) error {
		if err := rdb.Del(ctx, key).Err(); err != nil {
			return err
		}
		return put(ctx, rdb, key)
	}}
}

// within changes the field whose name starts with prefix.
func within(prefix, name, value string) damage {
	return damage{prefix + ": " + name, func(ctx context.Context, rdb *redis.Client, key string, session map[string]string) error {
		for field := range session {
			if strings.HasPrefix(field, prefix) && (field == prefix || prefix != "@" || field != "@created") {
				return rdb.HSet(ctx, key, field, value).Err()
			}
		}
		return rdb.HSet(ctx, key, prefix, value).Err()
	}}
}

func damages() []damage {
	digits := strings.Repeat("9", 5000)
	all := []damage{
		instead("a string", func(ctx context.Context, rdb *redis.Client, key string) error {
			return rdb.Set(ctx, key, "12", 0).Err()
		}),
		instead("a list", func(ctx context.Context, rdb *redis.Client, key string) error { return rdb.RPush(ctx, key, "12").Err() }),
		instead("a set", func(ctx context.Context, rdb *redis.Client, key string) error { return rdb.SAdd(ctx, key, "12").Err() }),
		instead("a sorted set", func(ctx context.Context, rdb *redis.Client, key string) error {
			return rdb.ZAdd(ctx, key, redis.Z{Score: 1, Member: "12"}).Err()
		}),
		instead("a stream", func(ctx context.Context, rdb *redis.Client, key string) error {
			return rdb.XAdd(ctx, &redis.XAddArgs{Stream: key, Values: []string{"visits", "12"}}).Err()
		}),
		instead("somebody's hash", func(ctx context.Context, rdb *redis.Client, key string) error {
			return rdb.HSet(ctx, key, "name", "somebody", "visits", "12").Err()
		}),
		{"no time of creation", func(ctx context.Context, rdb *redis.Client, key string, _ map[string]string) error {
			return rdb.HDel(ctx, key, "@created").Err()
		}},
		{"more than a session may hold", func(ctx context.Context, rdb *redis.Client, key string, session map[string]string) error {
			for field := range session {
				if strings.HasPrefix(field, "process:") {
					rdb.HDel(ctx, key, field) // so that the session grows by a row
				}
			}
			return rdb.HSet(ctx, key, "essay", `"`+strings.Repeat("x", 20_000)+`"`).Err()
		}},
		within("text", "no JSON", "plain text"),
		within("a\x00b", "NUL in its name", "1"),
		within("text", "NUL", "\"a\x00b\""),
		within("process:no time", "a row of nobody", "1"),
		within("process:2026-01-02T03:04:05.678Z other", "too many visits", "9223372036854775807"),
		within("process:2026-01-02T03:04:05.678Z other", "negative", "-4"),
		within("process:", "more than the visits", "1000"),
		within("visits", "less than the rows", "1"),
		within("visits", "the greatest", "9007199254740991"),
		within("earlier", "negative", "-1"),
		within("earlier_processes", "negative", "-1"),
		within("@created", "zero", "0"),
		within("@created", "in 30,000 years", "999999999999999"),
		within("@", "cut short", "["),
		within("@", "no floor", "[1]"),
		within("@", "no number", "[1,1]"),
		within("@", "a number that is none", "[1,1,x,1,1]"),
		within("@", "a floor of 5,000 digits", "[1,"+digits+",1,1,1]"),
		within("@", "a floor and a number of 5,000 digits", "[1,"+digits+","+digits+",1,1]"),
		within("@", "a floor beyond its number", "[1,9007199254740990,1,1,1]"),
		within("@x", "a time of 5,000 digits", "["+digits+",1,1,1,1]"),
		within("@x", "a field that is reserved", "x"),
	}
	for name, value := range map[string]string{
		"empty": "", "no number": "NaN", "negative": "-5", "beyond what is exact": "9007199254740993", "overflowing": "99999999999999999999",
		"5,000 digits": digits, "binary": "\xff\xfe\x00\x01", "a fraction": "1.5", "a text": `"12"`, "null": "null", "an exponent": "1e3",
		"blank": " 7", "octal": "007", "a list": "[1]",
	} {
		for _, field := range []string{"visits", "process:", "@created"} {
			all = append(all, within(field, name, value))
		}
		all = append(all, within("earlier", name, value))
	}
	return all
}

func TestDamagedSessionIsSetAsideAndTheVisitorGetsANewOne(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	rdb := redistest.Client(t, server)
	i := start(t, "REDIS_URL="+server.URL())
	for _, d := range damages() {
		t.Run(d.name, func(t *testing.T) {
			visitor := newBrowser(t)
			for range 3 {
				visitor.visit(t, i.url)
			}
			cookie := visitor.cookie(t, i.url)
			id, _, _ := strings.Cut(cookie, ".")
			key := "visits:session:" + id
			ctx, session := t.Context(), rdb.HGetAll(t.Context(), key).Val()
			if err := d.do(ctx, rdb, key, maps.Clone(session)); err != nil {
				t.Fatal(err)
			}
			logged := i.output.count("damaged session set aside")
			v, answer, ok := visitor.tryVisit(t, i.url)
			if !ok || v.Visits != 1 || len(v.Processes) != 1 {
				t.Fatalf("status %d, count %d", answer.status, v.Visits)
			}
			if fresh := visitor.cookie(t, i.url); fresh == "" || strings.HasPrefix(fresh, id) {
				t.Error("the new session has no new id")
			}
			if got := visitor.visit(t, i.url).Visits; got != 2 {
				t.Errorf("the visit after that is number %d", got)
			}
			redistest.Wait(t, "a log line", func() bool { return i.output.count("damaged session set aside") > logged })
			if n := i.output.count("damaged session set aside") - logged; n != 1 {
				t.Errorf("%d log lines", n)
			}
			if ttl := rdb.PTTL(ctx, key).Val(); ttl <= 0 || ttl > 24*time.Hour {
				t.Errorf("the damaged data lives %v more", ttl)
			}
			again := newBrowser(t)
			again.header.Set("Cookie", "session="+cookie)
			if answer := again.do(t, http.MethodPost, i.url+"/reset"); answer.status != http.StatusSeeOther || rdb.Exists(ctx, key).Val() != 0 {
				t.Errorf("reset of a damaged session: %d", answer.status)
			}
		})
	}
	for line := range strings.Lines(i.output.String()) {
		if len(line) > 500 {
			t.Errorf("a log line has %d characters: %s…", len(line), line[:200])
		}
	}
}

func TestDamagedSecretIsSaidAndHealsByItself(t *testing.T) {
	t.Parallel()
	for name, put := range map[string]func(context.Context, *redis.Client, string) error{
		"short": func(ctx context.Context, rdb *redis.Client, key string) error {
			return rdb.Set(ctx, key, "short", 0).Err()
		},
		"another type": func(ctx context.Context, rdb *redis.Client, key string) error { return rdb.RPush(ctx, key, "x").Err() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t)
			rdb := redistest.Client(t, server)
			if err := put(t.Context(), rdb, "visits:secret"); err != nil {
				t.Fatal(err)
			}
			i := start(t, "REDIS_URL="+server.URL())
			visitor := newBrowser(t)
			answer := visitor.do(t, http.MethodGet, i.url+"/")
			if answer.status != http.StatusServiceUnavailable || answer.header.Get("Set-Cookie") != "" || answer.header.Get("Retry-After") == "" {
				t.Errorf("%d, %v", answer.status, answer.header)
			}
			redistest.Wait(t, "the log to say what is damaged", func() bool { return strings.Contains(i.output.String(), "shared secret") })
			rdb.Del(t.Context(), "visits:secret")
			if got := visitor.visit(t, i.url).Visits; got != 1 {
				t.Errorf("the first visit after it is number %d", got)
			}
		})
	}
}
