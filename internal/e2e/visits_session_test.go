package e2e

import (
	"net/http"
	"strings"
	"testing"

	"visit-counter/internal/redistest"
)

func TestCookieIsAsPromised(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	for _, test := range []struct {
		name, env, want, not string
	}{
		{"plain http", "FORCE_HTTPS=false", "session=", "Secure"},
		{"forced https", "FORCE_HTTPS=true", "__Host-session=", "Domain"},
		{"Heroku", "DYNO=web.1", "__Host-session=", "Domain"},
		{"Cloud Foundry", "VCAP_APPLICATION={}", "__Host-session=", "Domain"},
		{"another time to live", "SESSION_TTL=90s", "Max-Age=90;", "Secure"},
		{"another name", "COOKIE_NAME=sid", "sid=", "session="},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			answer := start(t, "REDIS_URL="+server.URL(), test.env).get(t, "/")
			cookie := answer.Header.Get("Set-Cookie")
			shown, _, _ := strings.Cut(cookie, "=") // the value is a secret
			for _, attribute := range []string{test.want, "; Path=/", "; HttpOnly", "; SameSite=Lax", "; Max-Age="} {
				if !strings.Contains(cookie, attribute) {
					t.Errorf("the cookie %s lacks %q", shown, attribute)
				}
			}
			if strings.HasPrefix(cookie, "__Host-") != strings.Contains(cookie, "; Secure") || strings.Contains(cookie, test.not) {
				t.Errorf("the cookie %s has attributes it should not have", shown)
			}
			if answer.Header.Get("Cache-Control") != "no-store" || answer.Header.Get("Vary") != "Accept" || answer.Header.Get("Etag") != "" {
				t.Errorf("headers of a counted page: %v", answer.Header)
			}
		})
	}
}

func TestAnswersSayWhatBrowsersMayDoWithThem(t *testing.T) {
	t.Parallel()
	i := start(t, "REDIS_URL="+redistest.Start(t).URL())
	const policy = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; " +
		"base-uri 'none'; form-action 'self'; object-src 'none'; frame-ancestors 'none'"
	for _, test := range []struct {
		method, path, accept string
		isPage               bool
	}{
		{http.MethodGet, "/", "text/html", true}, {http.MethodHead, "/", "text/html", true},
		{http.MethodGet, "/nowhere", "text/html", true}, {http.MethodPost, "/", "text/html", true},
		{http.MethodGet, "/", "application/json", false}, {http.MethodHead, "/", "application/json", false},
		{http.MethodGet, "/nowhere", "application/json", false},
		{http.MethodPost, "/reset", "text/html", false},
		{http.MethodGet, "/healthz", "*/*", false}, {http.MethodGet, "/readyz", "*/*", false}, {http.MethodHead, "/readyz", "*/*", false},
	} {
		answer := i.request(t, test.method, test.path, "Accept", test.accept)
		if answer.Status >= http.StatusInternalServerError {
			t.Errorf("%s %s: %d", test.method, test.path, answer.Status)
		}
		want := map[string]string{
			"Content-Security-Policy": policy, "X-Content-Type-Options": "nosniff", "Referrer-Policy": "same-origin",
			"Cross-Origin-Resource-Policy": "same-origin", "Cache-Control": "no-store", "Cross-Origin-Opener-Policy": "",
		}
		if test.isPage {
			want["Cross-Origin-Opener-Policy"] = "same-origin"
		}
		for name, value := range want {
			if got := answer.Header.Get(name); got != value {
				t.Errorf("%s %s for %s: %s is %q, want %q", test.method, test.path, test.accept, name, got, value)
			}
		}
	}
}

func TestNoIDIsTakenFromOutside(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	const old, current = "the-old-secret-of-32-characters-or-more", "the-new-secret-of-32-characters-or-more"
	keepSecret(t, "SESSION_SECRET", old)
	keepSecret(t, "SESSION_SECRET", current)
	before := start(t, "REDIS_URL="+server.URL(), "SESSION_SECRET="+old)
	rotated := start(t, "REDIS_URL="+server.URL(), "SESSION_SECRET="+current+" , "+old)
	after := start(t, "REDIS_URL="+server.URL(), "SESSION_SECRET="+current)

	v := newVisitor(t, before.url)
	visit(t, v)
	retired := sessionCookie(v)
	id, signature, _ := strings.Cut(retired, ".")
	for _, test := range []struct { // internal/storetest proves more about signatures
		name  string
		i     *instance
		value string
		want  int // the count
	}{
		{"unsigned", before, id, 1},
		{"tampered id", before, "A" + id[1:] + "." + signature, 1},
		{"chosen by somebody", before, "11111111-2222-3333-4444-555555555555", 1},
		{"oversize", before, strings.Repeat("x", 8000), 1},
		{"a retired secret", after, retired, 1},
		{"a rotated secret", rotated, retired, 2},
	} {
		t.Run(test.name, func(t *testing.T) {
			attacker := newVisitor(t, test.i.url)
			if got := visit(t, attacker, "Cookie", "session="+test.value).Visits; got != test.want {
				t.Errorf("count %d, want %d", got, test.want)
			}
			if (sessionID(attacker) == id) != (test.want == 2) {
				t.Error("an id from outside was taken, or the visitor's own was not")
			}
		})
	}
	signedAnew := newVisitor(t, rotated.url)
	visit(t, signedAnew, "Cookie", "session="+retired)
	if got := visit(t, signedAnew.At(after.url)).Visits; got < 3 {
		t.Errorf("a cookie that was signed anew during the rotation counts %d", got)
	}
}
