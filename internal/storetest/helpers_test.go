package storetest_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/gin-contrib/sessions"
	"github.com/gin-gonic/gin"
	"github.com/redis/go-redis/v9"

	"visit-counter/internal/redistest"
	"visit-counter/redisstore"
)

var must = redistest.Must

const (
	cookieName = "session"
	secretKey  = redisstore.DefaultPrefix + "secret"
	keyPattern = redisstore.DefaultPrefix + "session:*"
)

func TestMain(m *testing.M) {
	gin.SetMode(gin.ReleaseMode)
	os.Exit(m.Run())
}

// keys returns a key ring for New. Rings with different first letters do not verify each other's cookies.
func keys(letters string) [][]byte {
	ring := make([][]byte, len(letters))
	for i, letter := range letters {
		ring[i] = []byte(strings.Repeat(string(letter), redisstore.MinKeyBytes))
	}
	return ring
}

// newStore returns a store with the key "a".
func newStore(t testing.TB, rdb redis.UniversalClient, opts ...redisstore.Option) *redisstore.Store {
	t.Helper()
	return newStoreWith(t, rdb, keys("a"), opts...)
}

func newStoreWith(t testing.TB, rdb redis.UniversalClient, ring [][]byte, opts ...redisstore.Option) *redisstore.Store {
	t.Helper()
	loaded := redisstore.WithTimeout(10 * time.Second) // for a busy machine; opts may set another
	s, err := redisstore.New(rdb, ring, append([]redisstore.Option{loaded}, opts...)...)
	must(t, err)
	return s
}

// client returns a client as programs use it: with go-redis' defaults, so that it retries commands, except for the deadlines
// and the pool size.
func client(t testing.TB, target redistest.Target, change ...func(*redis.Options)) *redis.Client {
	t.Helper()
	opts, err := redis.ParseURL(target.URL())
	must(t, err)
	opts.ContextTimeoutEnabled = true
	opts.DisableIdentity = true
	for _, f := range change {
		f(opts)
	}
	rdb := redis.NewClient(opts)
	t.Cleanup(func() { must(t, rdb.Close()) })
	return rdb
}

// clientWithoutRetries is like client, but a lasting fault is an error at once.
func clientWithoutRetries(t testing.TB, target redistest.Target, change ...func(*redis.Options)) *redis.Client {
	t.Helper()
	return client(t, target, append(change, func(o *redis.Options) { o.MaxRetries, o.DialerRetries = -1, 1 })...)
}

// unreachable returns a client for an address at which no Redis listens.
func unreachable(t testing.TB) *redis.Client {
	t.Helper()
	rdb := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1", ContextTimeoutEnabled: true, MaxRetries: -1})
	t.Cleanup(func() { must(t, rdb.Close()) })
	return rdb
}

// onBoth runs a test on a real Redis and on the embedded one.
func onBoth(t *testing.T, test func(t *testing.T, rdb *redis.Client)) {
	t.Helper()
	t.Run("redis-server", func(t *testing.T) { test(t, client(t, redistest.Start(t))) })
	t.Run("miniredis", func(t *testing.T) {
		rdb := redis.NewClient(&redis.Options{Addr: miniredis.RunT(t).Addr(), ContextTimeoutEnabled: true})
		t.Cleanup(func() { must(t, rdb.Close()) })
		test(t, rdb)
	})
}

// A browser sends requests with its cookie, to any store.
type browser struct {
	t      testing.TB
	cookie *http.Cookie // nil if it has none
}

// tab returns a browser that begins with the same cookie, for a request at the same time as one of b.
func (b *browser) tab() *browser { return &browser{b.t, b.cookie} }

// request runs handler for one request, in its own gin program, and keeps the cookie that it sets.
func (b *browser) request(s sessions.Store, handler gin.HandlerFunc, middleware ...gin.HandlerFunc) *httptest.ResponseRecorder {
	b.t.Helper()
	w := send(s, b.cookies(), handler, middleware...)
	b.keep(w)
	return w
}

func (b *browser) cookies() []*http.Cookie {
	if b.cookie == nil {
		return nil
	}
	return []*http.Cookie{b.cookie}
}

// keep handles the answer's cookie as a browser does.
func (b *browser) keep(w *httptest.ResponseRecorder) {
	b.t.Helper()
	for _, c := range w.Result().Cookies() {
		switch {
		case c.Name != cookieName:
			b.t.Errorf("unexpected cookie %q", c.Name)
		case c.MaxAge < 0:
			b.cookie = nil
		default:
			b.cookie = &http.Cookie{Name: c.Name, Value: c.Value}
		}
	}
}

// id returns the session id in the browser's cookie.
func (b *browser) id() string {
	b.t.Helper()
	if b.cookie == nil {
		b.t.Fatal("the browser has no cookie")
	}
	id, _, _ := strings.Cut(b.cookie.Value, ".")
	return id
}

// key returns the key of the browser's session.
func (b *browser) key() string { return redisstore.DefaultPrefix + "session:" + b.id() }

// send runs handler behind the Sessions middleware and the given middleware, for one request with the cookies.
func send(s sessions.Store, cookies []*http.Cookie, handler gin.HandlerFunc, middleware ...gin.HandlerFunc) *httptest.ResponseRecorder {
	return sendWith(context.Background(), s, cookies, handler, middleware...)
}

// sendWith is like send, with a context for the request.
func sendWith(ctx context.Context, s sessions.Store, cookies []*http.Cookie, handler gin.HandlerFunc, middleware ...gin.HandlerFunc) *httptest.ResponseRecorder {
	return serve(newRequest(ctx, cookies...), append(middleware, sessions.Sessions(cookieName, s), handler)...)
}

// serve answers a request in its own gin program.
func serve(r *http.Request, handlers ...gin.HandlerFunc) *httptest.ResponseRecorder {
	engine := gin.New()
	engine.GET("/", handlers...)
	w := newAnswer()
	engine.ServeHTTP(w, r)
	return w
}

// visit counts a visit in the default session.
func visit(c *gin.Context) error {
	_, err := redisstore.Default(c).Increment("visits", 1)
	return err
}

// visit counts one visit and returns its number.
func (b *browser) visit(s sessions.Store) int64 {
	b.t.Helper()
	var n int64
	b.request(s, func(c *gin.Context) {
		result, err := redisstore.Default(c).Increment("visits", 1)
		if err != nil { // not fatal: visits are concurrent
			b.t.Errorf("visit: %v", err)
		}
		n = result.Count
	})
	return n
}

// set saves values: name, value, name, value, ...
func (b *browser) set(s sessions.Store, values ...any) {
	b.t.Helper()
	b.request(s, func(c *gin.Context) {
		if err := save(c, values...); err != nil { // not fatal: saves are concurrent
			b.t.Errorf("save: %v", err)
		}
	})
}

// save sets values of the default session and saves it.
func save(c *gin.Context, values ...any) error {
	session := sessions.Default(c)
	for i := 0; i < len(values); i += 2 {
		session.Set(values[i], values[i+1])
	}
	return session.Save()
}

// destroy ends the session.
func (b *browser) destroy(s sessions.Store) {
	b.t.Helper()
	b.request(s, func(c *gin.Context) { must(b.t, redisstore.Default(c).Destroy()) })
}

// regenerate gives the session a new id.
func (b *browser) regenerate(s sessions.Store) {
	b.t.Helper()
	b.request(s, func(c *gin.Context) { must(b.t, redisstore.Default(c).Regenerate()) })
}

// operations returns the operations on the default session of a request.
func operations() map[string]func(*gin.Context) error {
	return map[string]func(*gin.Context) error{
		"Increment":  visit,
		"Save":       func(c *gin.Context) error { return save(c, "name", "Ann") },
		"Load":       func(c *gin.Context) error { return redisstore.Default(c).Load() },
		"Touch":      func(c *gin.Context) error { return redisstore.Default(c).Touch() },
		"Destroy":    func(c *gin.Context) error { return redisstore.Default(c).Destroy() },
		"Regenerate": func(c *gin.Context) error { return redisstore.Default(c).Regenerate() },
	}
}

// get returns a value of the browser's session.
func (b *browser) get(s sessions.Store, name string) (value any) {
	b.t.Helper()
	b.request(s, func(c *gin.Context) { value = sessions.Default(c).Get(name) })
	return value
}

// beforeScript is a go-redis hook. A client calls it before it sends a script.
type beforeScript func(script redis.Cmder)

func (f beforeScript) DialHook(next redis.DialHook) redis.DialHook { return next }

func (f beforeScript) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func (f beforeScript) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if cmd.Name() == "evalsha" {
			f(cmd)
		}
		return next(ctx, cmd)
	}
}

// gate holds back the scripts of a client before they are sent.
type gate struct {
	arrived chan struct{} // receives one value for each script held
	release chan struct{} // lets one script go on for each value
}

// holdScripts holds back the scripts that the client sends from now on.
func holdScripts(rdb *redis.Client) gate {
	g := gate{make(chan struct{}), make(chan struct{})}
	rdb.AddHook(beforeScript(func(redis.Cmder) {
		g.arrived <- struct{}{}
		<-g.release
	}))
	return g
}

// noCookie fails the test if the response touches the browser's cookie.
func noCookie(t testing.TB, w *httptest.ResponseRecorder) {
	t.Helper()
	if lines := w.Header()["Set-Cookie"]; len(lines) != 0 {
		t.Errorf("a failed request set the cookie: %d lines", len(lines))
	}
}

// sessionKeys returns the keys of all sessions.
func sessionKeys(t testing.TB, rdb *redis.Client) []string {
	t.Helper()
	found, err := rdb.Keys(context.Background(), keyPattern).Result()
	must(t, err)
	return found
}

// calls returns how often the server has executed the command, including inside scripts.
func calls(t testing.TB, rdb *redis.Client, command string) int {
	t.Helper()
	info, err := rdb.InfoMap(context.Background(), "commandstats").Result()
	must(t, err)
	for _, stats := range info {
		for name, line := range stats {
			if strings.EqualFold(name, "cmdstat_"+command) {
				var n int
				_, err := fmt.Sscanf(line, "calls=%d", &n)
				must(t, err)
				return n
			}
		}
	}
	return 0
}

// wantError fails the test unless err is want.
func wantError(t testing.TB, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("error = %v, want %v", err, want)
	}
}

func want[T comparable](t testing.TB, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s = %v, want %v", what, got, want)
	}
}

// within returns a middleware that limits how long a request may take.
func within(d time.Duration) gin.HandlerFunc {
	return func(c *gin.Context) {
		ctx, cancel := context.WithTimeout(c.Request.Context(), d)
		defer cancel()
		c.Request = c.Request.WithContext(ctx)
		c.Next()
	}
}

// newRequest returns a request with these cookies, even invalid ones.
func newRequest(ctx context.Context, cookies ...*http.Cookie) *http.Request {
	r := httptest.NewRequestWithContext(ctx, http.MethodGet, "/", nil)
	for _, c := range cookies {
		r.Header.Add("Cookie", c.Name+"="+c.Value)
	}
	return r
}

func newAnswer() *httptest.ResponseRecorder { return httptest.NewRecorder() }
