package handlers_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"visit-counter/static"
)

func TestStaticFilesHaveOnlyTheirHashedNames(t *testing.T) {
	rdb := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1", ContextTimeoutEnabled: true}) // no Redis listens there
	t.Cleanup(func() { _ = rdb.Close() })
	routes := process(t, rdb, "web.1", time.Now())
	get := func(path string) *httptest.ResponseRecorder {
		answer := httptest.NewRecorder()
		routes.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, path, nil))
		return answer
	}
	for _, file := range static.All {
		if answer := get(file.URL); answer.Code != http.StatusOK || answer.Header().Get("Set-Cookie") != "" {
			t.Errorf("GET %s = %d, cookie %q; want 200 without one", file.URL, answer.Code, answer.Header().Get("Set-Cookie"))
		}
	}
	for _, path := range []string{
		"/static", "/static/", "/static/style.css", "/static/style.AAAAAAAAAAAA.css", "/static/embed.go", "/static/../embed.go",
		strings.ToUpper(static.Style.URL), static.Style.URL + "/", "/" + static.Style.URL, "/static/" + static.Style.URL,
	} {
		if answer := get(path); answer.Code != http.StatusNotFound || answer.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("GET %s = %d, %q; want a 404 with no-store", path, answer.Code, answer.Header().Get("Cache-Control"))
		}
	}
}
