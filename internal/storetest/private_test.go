package storetest_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gin-contrib/sessions"
	"github.com/gin-gonic/gin"
	"github.com/redis/go-redis/v9"

	"visit-counter/internal/redisserver"
	"visit-counter/internal/redistest"
	"visit-counter/redisstore"
)

// runEverything runs every operation of the store and of its sessions, and returns the errors.
func runEverything(b *browser, s *redisstore.Store) (found []error) {
	handles := []func(*gin.Context) *redisstore.Session{
		redisstore.Default,
		func(c *gin.Context) *redisstore.Session { return s.Session(c.Writer, c.Request, cookieName) },
	}
	operations := []func(*gin.Context) error{
		func(c *gin.Context) error { return save(c, "name", "Ann") },
		func(c *gin.Context) error { sessions.Default(c).Get("name"); return nil },
		func(c *gin.Context) error { _, err := s.Get(c.Request, cookieName); return err },
		func(c *gin.Context) error { return s.Check(c.Request.Context()) },
	}
	for _, of := range handles {
		operations = append(operations,
			func(c *gin.Context) error { _, err := of(c).Increment("visits", 1); return err },
			func(c *gin.Context) error { return of(c).Load() },
			func(c *gin.Context) error { return of(c).Touch() },
			func(c *gin.Context) error { return of(c).Regenerate() },
			func(c *gin.Context) error { return of(c).Abandon() },
			func(c *gin.Context) error { return of(c).Destroy() },
		)
	}
	for _, operation := range operations {
		send(s, b.cookies(), func(c *gin.Context) { found = append(found, operation(c)) })
	}
	return found
}

func TestNoErrorTellsAnIDACookieAKeyOrAPassword(t *testing.T) {
	const password = "correct-horse"
	server := redistest.StartWith(t, redisserver.Options{Password: password})
	direct := client(t, server)
	good := newStore(t, direct)
	for name, fault := range map[string]func(p *redistest.Proxy, key string){
		"refused":   func(p *redistest.Proxy, _ string) { p.Refuse() },
		"read-only": func(p *redistest.Proxy, _ string) { p.All(redistest.Any, redistest.Fate{Answer: redistest.ReadOnly}) },
		"lost":      func(p *redistest.Proxy, _ string) { p.Next(1000, redistest.Any, redistest.Fate{Cut: true}) },
		"wrong type": func(_ *redistest.Proxy, key string) {
			direct.Del(t.Context(), key)
			direct.Set(t.Context(), key, "x", 0)
		},
		"foreign hash": func(_ *redistest.Proxy, key string) { direct.HDel(t.Context(), key, "@created") },
		"no JSON":      func(_ *redistest.Proxy, key string) { direct.HSet(t.Context(), key, "visits", "x") },
		"no permission": func(*redistest.Proxy, string) {
			redistest.Do(t, direct, "ACL SETUSER default resetkeys ~other:*")
		},
		"no scripts": func(*redistest.Proxy, string) {
			redistest.Do(t, direct, "ACL SETUSER default -evalsha -eval -hgetall -del")
		},
	} {
		t.Run(name, func(t *testing.T) {
			defer redistest.Do(t, direct, "ACL SETUSER default allkeys +@all")
			b := &browser{t: t}
			b.visit(good)
			proxy := redistest.NewProxy(t, server)
			s := newStore(t, clientWithoutRetries(t, proxy))
			fault(proxy, b.key())
			found := runEverything(b, s)
			if errors.Join(found...) == nil {
				t.Error("no error")
			}
			for _, err := range found {
				wantSilent(t, err, b, b.cookie.Value[28:40], password, string(keys("a")[0][:9]))
			}
		})
	}
}

// Some answers of Redis repeat what the client sent.
func TestNoErrorRepeatsWhatRedisRepeats(t *testing.T) {
	for name, config := range map[string][]string{
		"no EVALSHA": {`rename-command EVALSHA ""`}, "no DEL": {`rename-command DEL ""`}, "no SET": {`rename-command SET ""`},
		"no GET": {`rename-command GET ""`}, "no HGETALL": {`rename-command HGETALL ""`}, "all is well": nil,
	} {
		t.Run(name, func(t *testing.T) {
			server := redistest.StartWith(t, redisserver.Options{Config: config})
			b := &browser{t: t, cookie: &http.Cookie{Name: cookieName, Value: signedCookie(keys("a")[0], "someone's-id-of-the-session")}}
			shared := strings.Repeat("shared-secret", 4)
			for _, ring := range [][][]byte{keys("a"), nil} {
				for _, err := range runEverything(b, newStoreWith(t, clientWithoutRetries(t, server), ring)) {
					wantSilent(t, err, b, shared)
				}
			}
		})
	}
	const password = "correct-horse"
	for _, kind := range []string{"-ERR", "-NOPERM", "-WRONGTYPE Operation", "-OOM command not allowed", "-someone's-id", "-ERR Error running script", "-READONLY", "-MOVED 1"} {
		t.Run(kind, func(t *testing.T) {
			server := redistest.Start(t)
			proxy := redistest.NewProxy(t, server)
			b := &browser{t: t}
			b.visit(newStore(t, client(t, server)))
			secret := string(keys("a")[0])
			repeated := strings.Join([]string{kind, "at", b.key(), b.cookie.Value, secret, password}, " ")
			proxy.All(redistest.Named("EVALSHA", "EVAL", "HGETALL", "DEL", "SET", "GET"), redistest.Fate{Answer: repeated})
			found := runEverything(b, newStore(t, clientWithoutRetries(t, proxy)))
			if errors.Join(found...) == nil {
				t.Error("no error")
			}
			for _, err := range found {
				wantSilent(t, err, b, secret, password, "someone")
			}
		})
	}
}

// signedCookie returns the cookie value of an id.
func signedCookie(key []byte, id string) string {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(cookieName + "=" + id))
	return id + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// wantSilent fails the test if an error contains data of a browser's session, or one of the secrets.
func wantSilent(t *testing.T, err error, b *browser, secrets ...string) {
	t.Helper()
	text := fmt.Sprintf("%v %+v", err, err)
	for _, secret := range append(secrets, b.id()[:9], b.cookie.Value[len(b.cookie.Value)-12:], "session:", "with args", "beginning") {
		if strings.Contains(text, secret) {
			t.Errorf("an error reveals too much: %s", text)
		}
	}
}

func TestNothingIsPrinted(t *testing.T) {
	server := redistest.Start(t)
	proxy := redistest.NewProxy(t, server)
	s := newStore(t, clientWithoutRetries(t, proxy))
	b := &browser{t: t}
	b.visit(s)

	file, err := os.CreateTemp(t.TempDir(), "output")
	must(t, err)
	stdout, stderr, logger, writer, flags := os.Stdout, os.Stderr, slog.Default(), log.Writer(), log.Flags()
	os.Stdout, os.Stderr = file, file
	slog.SetDefault(slog.New(slog.DiscardHandler)) // discards what gin-contrib/sessions logs on a failed load
	log.SetOutput(file)                            // SetDefault has redirected it
	defer func() {
		os.Stdout, os.Stderr = stdout, stderr
		slog.SetDefault(logger)
		log.SetOutput(writer)
		log.SetFlags(flags)
	}()
	runEverything(b.tab(), s)
	b.visit(s)
	must(t, redistest.Client(t, server).HSet(t.Context(), b.key(), "broken", "{").Err())
	runEverything(b, s)
	proxy.All(redistest.Any, redistest.Fate{Answer: redistest.Loading})
	runEverything(b, s)
	written, err := os.ReadFile(file.Name())
	must(t, err)
	want(t, "output", string(written), "")
}

// restricted creates a user with these rules, and resets the server's statistics.
func restricted(t *testing.T, direct *redis.Client, rules string) (user, password string) {
	t.Helper()
	user, password = "sessions", "correct-horse"
	redistest.Do(t, direct, "ACL SETUSER "+user+" on >"+password+" "+rules, "CONFIG RESETSTAT")
	return user, password
}

// wantNoneDenied uses every operation of a store, and fails the test if the server denied anything.
func wantNoneDenied(t *testing.T, direct *redis.Client, rdb redis.UniversalClient) {
	t.Helper()
	s := newStoreWith(t, rdb, nil, redisstore.WithMaxLifetime(time.Hour))
	b := &browser{t: t}
	b.visit(s)
	b.set(s, "name", "Ann", "age", 30)
	b.request(s, func(c *gin.Context) {
		sessions.Default(c).Delete("age")
		must(t, sessions.Default(c).Save())
		must(t, redisstore.Default(c).Regenerate())
	})
	want(t, "number", b.visit(s), 2)
	for _, err := range slices.Concat(runEverything(b, s), runEverything(aged(t, direct, s, 2*time.Hour), s)) {
		if !errors.Is(err, redisstore.ErrGone) { // from Touch, after a Destroy
			must(t, err)
		}
	}
	denials, err := direct.Do(t.Context(), "ACL", "LOG").Slice()
	must(t, err)
	want(t, "denials", len(denials), 0)
}

func TestTheRulesOfTheDocumentationAreAllARedisUserNeeds(t *testing.T) {
	server := redistest.Start(t)
	direct := redistest.Client(t, server)
	user, password := restricted(t, direct, redisstore.Rights)
	wantNoneDenied(t, direct, client(t, server, func(o *redis.Options) { o.Username, o.Password = user, password }))
	for rule := range strings.FieldsSeq(redisstore.Rights) {
		if command, ok := strings.CutPrefix(rule, "+"); ok && calls(t, direct, command) == 0 {
			t.Errorf("%s is not needed", rule)
		}
	}
}

func TestTheRulesOfTheDocumentationAreAllAClusterUserNeeds(t *testing.T) {
	server, proxy, _ := cluster(t)
	direct := redistest.Client(t, server)
	user, password := restricted(t, direct, redisstore.Rights+" "+redisstore.ClusterRights)
	rdb := redis.NewClusterClient(&redis.ClusterOptions{
		Addrs: []string{proxy.Addr()}, Username: user, Password: password, ContextTimeoutEnabled: true,
	})
	t.Cleanup(func() { must(t, rdb.Close()) })
	wantNoneDenied(t, direct, rdb)
}
