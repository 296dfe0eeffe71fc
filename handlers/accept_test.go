package handlers

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/gin-gonic/gin"
)

func TestJSONIsForClientsThatPreferIt(t *testing.T) {
	for _, test := range []struct {
		name   string
		accept []string
		want   bool
	}{
		{"no Accept header", nil, false},
		{"curl", []string{"*/*"}, false},
		{"a browser", []string{"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}, false},
		{"JSON", []string{"application/json"}, true},
		{"JSON with a parameter", []string{"application/json; charset=utf-8"}, true},
		{"JSON before anything else, as programs send it", []string{"application/json, text/plain, */*"}, true},
		{"any application type", []string{"application/*"}, true},
		{"HTML last, with a lower weight", []string{"application/json, text/html;q=0.5"}, true},
		{"equal weights, JSON first", []string{"application/json, text/html"}, true},
		{"equal weights, HTML first", []string{"text/html, application/json"}, false},
		{"another JSON", []string{"application/ld+json"}, false},
		{"something else", []string{"image/png"}, false},
		{"garbage", []string{";;,,/json,="}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			c, _ := gin.CreateTestContext(httptest.NewRecorder())
			c.Request = &http.Request{Header: http.Header{"Accept": test.accept}}
			if test.accept == nil {
				c.Request.Header = http.Header{}
			}
			if got := wantsJSON(c); got != test.want {
				t.Errorf("wantsJSON(%q) = %t, want %t", test.accept, got, test.want)
			}
		})
	}
}
