package main

import (
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"testing"

	"github.com/alicebob/miniredis/v2"
	"github.com/gin-gonic/gin"
	"github.com/redis/go-redis/v9"

	"visit-counter/redisstore"
)

func TestTheCountGoesOnOverALogInAndEndsWithALogOut(t *testing.T) {
	gin.SetMode(gin.ReleaseMode)
	server := miniredis.RunT(t)
	rdb := redis.NewClient(&redis.Options{Addr: server.Addr(), ContextTimeoutEnabled: true})
	t.Cleanup(func() { _ = rdb.Close() })
	store, err := redisstore.New(rdb, nil)
	if err != nil {
		t.Fatal(err)
	}
	app := httptest.NewServer(routes(store))
	defer app.Close()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	visitor := &http.Client{Jar: jar}

	for _, step := range []struct {
		path string
		form url.Values // nil: GET
		want string
	}{
		{"/", nil, `200 {"user":null,"visits":1}`},
		{"/account", nil, "403 Please log in.\n"},
		{"/login", url.Values{"user": {"ann"}, "remember": {"yes"}}, "204 "},
		{"/account", nil, `200 {"user":"ann"}`},
		{"/", nil, `200 {"user":"ann","visits":2}`},
		{"/logout", url.Values{}, "204 "},
		{"/", nil, `200 {"user":null,"visits":1}`},
	} {
		if got := ask(t, visitor, app.URL+step.path, step.form); got != step.want {
			t.Errorf("%s: %s; want %s", step.path, got, step.want)
		}
	}
	server.Close()
	for _, path := range []string{"/", "/account"} {
		if got, want := ask(t, visitor, app.URL+path, nil), "503 Please come back in a moment.\n"; got != want {
			t.Errorf("%s without Redis: %s; want %s", path, got, want)
		}
	}
}

// ask sends a form, or GET without one, and returns the status and the text of the answer.
func ask(t *testing.T, visitor *http.Client, address string, form url.Values) string {
	t.Helper()
	send := func() (*http.Response, error) { return visitor.PostForm(address, form) }
	if form == nil {
		send = func() (*http.Response, error) { return visitor.Get(address) }
	}
	answer, err := send()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.Status[:4] + string(text)
}
