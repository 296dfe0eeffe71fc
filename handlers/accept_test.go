package handlers

import (
	"net/http"
	"testing"
)

func TestJSONIsForThoseWhoPreferIt(t *testing.T) {
	for _, test := range []struct {
		name   string
		accept []string
		want   bool
	}{
		{"nothing said", nil, false},
		{"curl", []string{"*/*"}, false},
		{"a browser", []string{"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}, false},
		{"JSON", []string{"application/json"}, true},
		{"JSON with a parameter", []string{"application/json; charset=utf-8"}, true},
		{"in capitals", []string{"Application/JSON"}, true},
		{"JSON before anything, as programs send it", []string{"application/json, text/plain, */*"}, true},
		{"all of application", []string{"application/*"}, true},
		{"JSON less than HTML", []string{"application/json;q=0.5, text/html"}, false},
		{"HTML less than JSON", []string{"text/html;q=0.5, application/json"}, true},
		{"both alike, JSON first", []string{"application/json, text/html"}, true},
		{"both alike, HTML first", []string{"text/html, application/json"}, false},
		{"over two lines", []string{"text/html;q=0.1", "application/json"}, true},
		{"JSON refused", []string{"application/json;q=0, */*"}, false},
		{"nonsense for a weight", []string{"application/json;q=much, text/html;q=0.1"}, false},
		{"a weight beyond 1", []string{"application/json;q=7, text/html;q=0.1"}, false},
		{"a weight that is not a number", []string{"text/html;q=nan, application/json;q=0.1"}, true},
		{"another JSON", []string{"application/ld+json"}, false},
		{"garbage", []string{";;,,/json,="}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := prefersJSON(&http.Request{Header: http.Header{"Accept": test.accept}}); got != test.want {
				t.Errorf("prefersJSON(%q) = %t, want %t", test.accept, got, test.want)
			}
		})
	}
}
