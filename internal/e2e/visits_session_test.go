package e2e

import (
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"strings"
	"testing"

	"visit-counter/internal/redistest"
)

func TestCookieIsAsPromised(t *testing.T) {
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
			i := start(t, "REDIS_URL="+server.URL(), test.env)
			answer := newBrowser(t).do(t, http.MethodGet, i.url+"/")
			cookie := answer.header.Get("Set-Cookie")
			shown, _, _ := strings.Cut(cookie, "=") // without its value
			for _, attribute := range []string{test.want, "; Path=/", "; HttpOnly", "; SameSite=Lax", "; Max-Age="} {
				if !strings.Contains(cookie, attribute) {
					t.Errorf("the cookie %s lacks %q", shown, attribute)
				}
			}
			if strings.HasPrefix(cookie, "__Host-") != strings.Contains(cookie, "; Secure") || strings.Contains(cookie, test.not) {
				t.Errorf("the cookie %s has attributes it should not have", shown)
			}
			if answer.header.Get("Cache-Control") != "no-store" || answer.header.Get("Vary") != "Accept" || answer.header.Get("Etag") != "" {
				t.Errorf("headers of a counted page: %v", answer.header)
			}
		})
	}
}

func TestAnswersSayWhatBrowsersMayDoWithThem(t *testing.T) {
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
		{http.MethodGet, "/healthz", "*/*", false}, {http.MethodGet, "/readyz", "*/*", false},
	} {
		visitor := newBrowser(t)
		visitor.header.Set("Accept", test.accept)
		answer := visitor.do(t, test.method, i.url+test.path)
		want := map[string]string{
			"Content-Security-Policy": policy, "X-Content-Type-Options": "nosniff", "Referrer-Policy": "same-origin",
			"Cross-Origin-Resource-Policy": "same-origin", "Cache-Control": "no-store", "Cross-Origin-Opener-Policy": "",
		}
		if test.isPage {
			want["Cross-Origin-Opener-Policy"] = "same-origin"
		}
		for name, value := range want {
			if got := answer.header.Get(name); got != value {
				t.Errorf("%s %s for %s: %s is %q, want %q", test.method, test.path, test.accept, name, got, value)
			}
		}
	}
}

// TestMonitorsMayAskWithHEAD: many of them do.
func TestMonitorsMayAskWithHEAD(t *testing.T) {
	ready := start(t, "REDIS_URL="+redistest.Start(t).URL())
	away := start(t, "REDIS_URL=redis://127.0.0.1:1")
	for _, test := range []struct {
		url  string
		want int
	}{
		{ready.url + "/healthz", http.StatusOK}, {ready.url + "/readyz", http.StatusOK},
		{away.url + "/healthz", http.StatusOK}, {away.url + "/readyz", http.StatusServiceUnavailable},
	} {
		if answer := newBrowser(t).do(t, http.MethodHead, test.url); answer.status != test.want {
			t.Errorf("HEAD %s: %d, want %d", test.url, answer.status, test.want)
		}
	}
}

func TestNoIDIsTakenFromOutside(t *testing.T) {
	server := redistest.Start(t)
	const old, current = "the-old-secret-of-32-characters-or-more", "the-new-secret-of-32-characters-or-more"
	everything.secret("SESSION_SECRET", old)
	everything.secret("SESSION_SECRET", current)
	before := start(t, "REDIS_URL="+server.URL(), "SESSION_SECRET="+old)
	rotated := start(t, "REDIS_URL="+server.URL(), "SESSION_SECRET="+current+" , "+old)
	after := start(t, "REDIS_URL="+server.URL(), "SESSION_SECRET="+current)

	visitor := newBrowser(t)
	visitor.visit(t, before.url)
	retired := visitor.cookie(t, before.url)
	id, signature, _ := strings.Cut(retired, ".")
	for _, test := range []struct {
		name  string
		i     *instance
		value string
		want  int // the count
	}{
		{"unsigned", before, id, 1},
		{"tampered id", before, "A" + id[1:] + "." + signature, 1},
		{"tampered signature", before, id + "." + strings.Repeat("A", len(signature)), 1},
		{"signature cut", before, retired[:len(retired)-1], 1},
		{"chosen by somebody", before, "11111111-2222-3333-4444-555555555555", 1},
		{"empty", before, "", 1},
		{"oversize", before, strings.Repeat("x", 8000), 1},
		{"a retired secret", after, retired, 1},
		{"a rotated secret", rotated, retired, 2},
	} {
		t.Run(test.name, func(t *testing.T) {
			attacker := newBrowser(t)
			attacker.header.Set("Cookie", "session="+test.value)
			v, answer, ok := attacker.tryVisit(t, test.i.url)
			if !ok || v.Visits != test.want {
				t.Fatalf("status %d, count %d, want %d", answer.status, v.Visits, test.want)
			}
			if fresh := attacker.cookie(t, test.i.url); (strings.HasPrefix(fresh, id+".")) != (test.want == 2) {
				t.Error("an id from outside was taken, or the visitor's own was not")
			}
		})
	}
	signedAnew := newBrowser(t)
	signedAnew.header.Set("Cookie", "session="+retired)
	signedAnew.visit(t, rotated.url)
	signedAnew.header.Del("Cookie")
	if got := signedAnew.visit(t, after.url).Visits; got < 3 {
		t.Errorf("a cookie that was signed anew during the rotation counts %d", got)
	}
}

func TestPlantedCookieDoesNotPushTheVisitorOut(t *testing.T) {
	server := redistest.Start(t)
	i := start(t, "REDIS_URL="+server.URL())
	visitor := newBrowser(t)
	visitor.visit(t, i.url)
	own := visitor.cookie(t, i.url)
	visitor.header.Set("Cookie", "session=planted; session="+strings.Repeat("y", 71)+"; session="+own)
	visitor.client.Jar, _ = cookiejar.New(nil)
	if got := visitor.visit(t, i.url).Visits; got != 2 {
		t.Errorf("beside planted cookies the count is %d, want 2", got)
	}
}

func TestSecretIsSharedThroughRedis(t *testing.T) {
	server := redistest.Start(t)
	one, two := start(t, "REDIS_URL="+server.URL()), start(t, "REDIS_URL="+server.URL())
	visitor := newBrowser(t)
	visitor.count(t, 1, 4, one, two)
	rdb := redistest.Client(t, server)
	keys := rdb.Keys(t.Context(), "*").Val()
	if len(keys) != 2 {
		t.Errorf("there are %d keys, want the session and the secret", len(keys))
	}
	for _, key := range keys {
		lives := rdb.PTTL(t.Context(), key).Val() > 0
		if lives != strings.HasPrefix(key, "visits:session:") {
			t.Errorf("a key of the kind %q has a time to live: %t", key[:min(len(key), 14)], lives)
		}
	}
}

func TestResetEndsTheSession(t *testing.T) {
	server := redistest.Start(t)
	one, two := start(t, "REDIS_URL="+server.URL()), start(t, "REDIS_URL="+server.URL())
	visitor := newBrowser(t)
	visitor.visit(t, one.url)
	visitor.visit(t, two.url)
	stale := visitor.cookie(t, one.url)
	answer := visitor.do(t, http.MethodPost, one.url+"/reset")
	if answer.status != http.StatusSeeOther || answer.header.Get("Location") != "/" || answer.header.Get("Cache-Control") != "no-store" {
		t.Errorf("reset: %d, %v", answer.status, answer.header)
	}
	if visitor.cookie(t, one.url) != "" {
		t.Error("the cookie is still there")
	}
	if keys := redistest.Client(t, server).Keys(t.Context(), "visits:session:*").Val(); len(keys) != 0 {
		t.Errorf("%d sessions are still in Redis", len(keys))
	}
	for _, i := range []*instance{one, two} {
		replay := newBrowser(t)
		replay.header.Set("Cookie", "session="+stale)
		if got := replay.visit(t, i.url).Visits; got != 1 {
			t.Errorf("the cookie of the destroyed session counts %d", got)
		}
		if replay.cookie(t, i.url) == stale {
			t.Error("the id of the destroyed session is in use again")
		}
	}
	if got := visitor.visit(t, two.url).Visits; got != 1 {
		t.Errorf("the visit after a reset is number %d", got)
	}
}

func TestMistakesStopTheStart(t *testing.T) {
	const password = "s3cr3t-pass-word"
	everything.secret("a password", password)
	for _, test := range []struct {
		name string
		env  []string
		want []string
	}{
		{"several at once", []string{"PORT=http", "SESSION_TTL=a day", "REDIS_TIMEOUT=-1s", "SESSION_SECRET=short"},
			[]string{"PORT", "SESSION_TTL", "REDIS_TIMEOUT", "SESSION_SECRET"}},
		{"a blank secret", []string{"SESSION_SECRET=" + strings.Repeat("k3", 20) + ",,"}, []string{"SESSION_SECRET"}},
		{"a damaged URL", []string{"REDIS_URL=redis://user:" + password + "@host:99999999/%zz"}, []string{"REDIS_URL"}},
		{"a database name", []string{"REDIS_URL=redis://:" + password + "@host:6379/production"}, []string{"REDIS_URL"}},
		{"another scheme", []string{"REDIS_URL=http://:" + password + "@host:6379"}, []string{"REDIS_URL"}},
		{"booleans", []string{"DEMO_CONTROLS=perhaps", "REDIS_TLS_VERIFY=maybe"}, []string{"DEMO_CONTROLS", "REDIS_TLS_VERIFY"}},
		{"a store that is not there", []string{"SESSION_STORE=postgres"}, []string{"SESSION_STORE"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			launch(t, append(test.env, "HOME=/")...).refusesToStart(t, test.want...)
		})
	}
}

func TestPortInUseIsSaidClearly(t *testing.T) {
	first := start(t, "SESSION_STORE=memory")
	u, _ := url.Parse(first.url)
	launch(t, "SESSION_STORE=memory", "PORT="+u.Port()).refusesToStart(t, "PORT "+u.Port())
}

func TestMemoryCountsAndSaysSoLoudly(t *testing.T) {
	i := start(t, "SESSION_STORE=memory")
	visitor := newBrowser(t)
	for want := 1; want <= 3; want++ {
		if v := visitor.visit(t, i.url); v.Visits != want || v.Store != "memory" {
			t.Errorf("visit %d: %+v", want, v)
		}
	}
	for _, part := range []string{"IN MEMORY ONLY", "unset SESSION_STORE=memory"} {
		if !strings.Contains(i.output.String(), part) {
			t.Errorf("the log does not say %q:\n%s", part, i.output.String())
		}
	}
}

func TestBrokenDotenvStopsTheStartBesideOtherMistakes(t *testing.T) {
	folder := t.TempDir()
	if err := os.WriteFile(folder+"/.env", []byte("PORT=8080\nthis is no setting\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name string
		env  []string
		want []string
		read bool // .env is
	}{
		{"alone", nil, []string{"line 2"}, true},
		{"beside another mistake", []string{"SESSION_TTL=soon"}, []string{"line 2", "SESSION_TTL"}, true},
		{"on a platform it is not read", []string{"DYNO=web.1", "SESSION_TTL=soon"}, []string{"SESSION_TTL"}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			i := launchIn(t, folder, test.env...)
			i.refusesToStart(t, test.want...)
			if said := strings.Contains(i.output.String(), ".env"); said != test.read {
				t.Errorf(".env is named: %t\n%s", said, i.output.String())
			}
		})
	}
}
