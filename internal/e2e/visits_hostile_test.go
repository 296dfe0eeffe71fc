package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"visit-counter/internal/redistest"
)

// unharmed checks that the instance is still the same process, and has not grown by more than maxGrowth bytes.
func (i *instance) unharmed(t testing.TB, before, maxGrowth int) {
	t.Helper()
	if answer := i.get(t, "/healthz"); answer.Status != http.StatusOK {
		t.Errorf("/healthz: %d", answer.Status)
	}
	if i.output.count("panic") > 0 || strings.Contains(i.output.String(), "panic:") {
		t.Error("a handler panicked")
	}
	after := i.memory(t)
	t.Logf("memory: %d kB before, %d kB after", before>>10, after>>10)
	if after-before > maxGrowth {
		t.Errorf("memory grew from %d to %d bytes", before, after)
	}
}

func TestSlowClientsAreCutOffAndNobodyElseNotices(t *testing.T) {
	t.Parallel()
	const each = 100
	server := redistest.Start(t)
	i := start(t, "REDIS_URL="+server.URL(), "LOG_LEVEL=warn")
	var (
		wg     sync.WaitGroup
		mu     sync.Mutex
		longer time.Duration
	)
	drip := func(begin string, wantStatus int) {
		w := i.dial(t)
		w.send(begin)
		began := time.Now()
		done := make(chan struct{})
		wg.Go(func() { // a byte now and then, as slowloris does
			ticker := time.NewTicker(100 * time.Millisecond)
			defer ticker.Stop()
			for {
				select {
				case <-done:
					return
				case <-ticker.C:
					_, _ = io.WriteString(w, "x")
				}
			}
		})
		wg.Go(func() {
			defer close(done)
			if answer, err := w.read(http.MethodPost); wantStatus != 0 && answer.Status != wantStatus {
				t.Errorf("a slow body: %d, %v", answer.Status, err)
			}
			for !w.closed() {
			}
			mu.Lock()
			longer = max(longer, time.Since(began))
			mu.Unlock()
		})
	}
	for range each {
		drip("GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ", 0)
		drip("POST /reset HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n", http.StatusSeeOther)
	}
	tally := newTally(t, i.url)
	tally.Visits(t.Context(), tally.visitor, 50)
	tally.checkExact(fmt.Sprintf("%d slow clients", 2*each))
	wg.Wait()
	if longer > 8*time.Second { // 5 are allowed for a header
		t.Errorf("a slow client held its connection for %v", longer)
	}
	t.Logf("%d slow clients, held at most %v", 2*each, longer)
}

func TestHugeHeadersAreRefused(t *testing.T) {
	t.Parallel()
	i := start(t, "SESSION_STORE=memory")
	before := i.memory(t)
	for name, head := range map[string]string{
		"one header":   "X-Huge: " + strings.Repeat("x", 1<<20),
		"many headers": strings.Repeat("X-Many: y\r\n", 100_000) + "X-Last: z",
		"a cookie":     "Cookie: session=" + strings.Repeat("c", 64<<10),
	} {
		w := i.dial(t)
		go func() { _, _ = io.WriteString(w, "GET / HTTP/1.1\r\nHost: x\r\n"+head+"\r\n\r\n") }() // it is cut off
		if answer := w.answer(http.MethodGet); answer.Status != http.StatusRequestHeaderFieldsTooLarge || answer.Header.Get("Connection") != "close" {
			t.Errorf("%s: %d, %v", name, answer.Status, answer.Header)
		}
	}
	w := i.dial(t)
	go func() { _, _ = io.WriteString(w, "GET /"+strings.Repeat("x", 1<<20)+" HTTP/1.1\r\nHost: x\r\n\r\n") }()
	if answer := w.answer(http.MethodGet); answer.Status != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("a path: %d", answer.Status)
	}
	i.unharmed(t, before, 32<<20)
}

func TestHugeBodiesAreAnsweredUnread(t *testing.T) {
	t.Parallel()
	i := start(t, "SESSION_STORE=memory")
	before := i.memory(t)
	for _, request := range []struct {
		head   string
		status int
	}{
		{"POST /reset HTTP/1.1\r\nHost: x\r\nContent-Length: 1099511627776", http.StatusSeeOther},
		{"POST /reset HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked", http.StatusSeeOther},
		{"POST /reset HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 1099511627776", http.StatusSeeOther},
		{"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1099511627776", http.StatusMethodNotAllowed},
		{"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1099511627776", http.StatusOK},
		{"PUT /nothing HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked", http.StatusNotFound},
	} {
		w := i.dial(t)
		w.send(request.head, "", "")
		sent := make(chan int)
		go func() {
			chunk := []byte("10000\r\n" + strings.Repeat("b", 1<<16) + "\r\n")
			total := 0
			for {
				n, err := w.Write(chunk)
				if total += n; err != nil {
					sent <- total
					return
				}
			}
		}()
		if answer := w.answer(http.MethodPost); answer.Status != request.status || answer.Header.Get("Connection") != "close" {
			t.Errorf("%q: %d, %v", request.head, answer.Status, answer.Header)
		}
		if n := <-sent; n > 16<<20 { // the kernel keeps some, on both sides
			t.Errorf("%q: %d bytes of the body were taken", request.head, n)
		}
	}
	i.unharmed(t, before, 32<<20)
}

// A chaos makes malicious requests, the same ones for the same seed.
type chaos struct{ *rand.Rand }

func (c chaos) of(choices ...string) string { return choices[c.IntN(len(choices))] }

// bytes returns up to n random bytes. One time in ten they include those that net/http itself refuses.
func (c chaos) bytes(n int) string {
	b := make([]byte, c.IntN(n))
	lowest := ' '
	if c.IntN(10) == 0 {
		lowest = 0
	}
	for i := range b {
		b[i] = byte(lowest + c.Int32N(256-lowest))
		if b[i] == 0x7f && lowest > 0 {
			b[i] = '~'
		}
	}
	return strings.NewReplacer("\r", "", "\n", "").Replace(string(b)) // each request stays one request
}

func (c chaos) target() string {
	const plain = "abcdefghijklmnop/.?&=;:@!$*()~-_0123456789"
	switch c.IntN(4) {
	case 0:
		b := []byte("/")
		for range c.IntN(200) {
			b = append(b, plain[c.IntN(len(plain))])
		}
		return string(b)
	case 1:
		return "/" + strings.NewReplacer(" ", "", "%", "").Replace(c.bytes(60))
	}
	return c.of("/", "/reset", "/stop", "/healthz", "/readyz", "/static/", "/static/../main.go", "/static/%2e%2e/%2e%2e/etc/passwd", "*", "//evil.example/",
		"http:.evil.example/", "http://evil.example/", "https://evil.example:99999/", "/%00", "/%0d%0aInjected:%201", "/%ff%fe", "/?a=%zz",
		"/\\evil.example", "/;/", "/./", "/healthz/", "/HEALTHZ", "/%2f%2fevil.example", "?", "", "/"+strings.Repeat("a/", 400))
}

func (c chaos) request() string {
	var b strings.Builder
	method := c.of("GET", "GET", "GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "PRI", "get", "POST", "GET", "BREW", strings.Repeat("M", 300))
	fmt.Fprintf(&b, "%s %s HTTP/1.%d\r\nConnection: close\r\n", method, c.target(), c.IntN(2))
	if c.IntN(20) > 0 {
		fmt.Fprintf(&b, "Host: %s\r\n", c.of("x", "x", "x", "x", "x", "x:8080", "[::1]:8080", "evil.example", "a@b", "", "x y", `"><script>`, c.bytes(20)))
	}
	for range c.IntN(8) {
		name := c.of("Cookie", "Cookie", "Accept", "X-Forwarded-Proto", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Prefix", "Forwarded",
			"X-Request-Id", "X-Vcap-Request-Id", "Origin", "Sec-Fetch-Site", "Sec-Purpose", "Purpose", "User-Agent", "Referer", "Range", "If-None-Match",
			"If-Modified-Since", "Upgrade", "Accept-Encoding", "Expect", "X-HTTP-Method-Override", "Authorization")
		value := c.of("session="+c.bytes(100), "session=\""+strings.Repeat("A", 71)+"\"", strings.Repeat("session=x; ", 20), "application/json;q=nan, */*;q=1e9",
			strings.Repeat("application/json,", 15), "http", "https", "http,https", "null", "https://evil.example", "cross-site", "prefetch", "bytes=0-1,5-",
			"websocket", "127.0.0.1, "+c.bytes(20), c.bytes(300), "")
		fmt.Fprintf(&b, "%s: %s\r\n", name, value)
	}
	return b.String() + "\r\n"
}

func TestRandomRequestsNeverBreakAnInstance(t *testing.T) {
	t.Parallel()
	const requests, workers = 2000, 8
	server := redistest.Start(t)
	i := start(t, "REDIS_URL="+server.URL(), "LOG_LEVEL=info", "FORCE_HTTPS=true", "TRUSTED_PROXIES=127.0.0.1")
	try := func(c chaos) int {
		text := c.request()
		w := i.dial(t)
		defer func() { _ = w.Close() }()
		method, _, _ := strings.Cut(text, " ")
		w.send(text)
		answer, err := w.read(method)
		if err != nil {
			t.Errorf("no answer to %.300q: %v", text, err)
		}
		if answer.Status >= 500 && answer.Status != http.StatusServiceUnavailable {
			t.Errorf("%d to %.300q", answer.Status, text)
		}
		if to := answer.Header.Get("Location"); to != "" && to != "/" && !strings.HasPrefix(to, "https://") || answer.Header.Get("Injected") != "" {
			t.Errorf("%.300q leads to %q, %v", text, to, answer.Header)
		}
		return answer.Status
	}
	for n := range 200 { // to warm up
		try(chaos{rand.New(rand.NewPCG(uint64(n), 1))})
	}
	before := i.memory(t)
	var (
		wg   sync.WaitGroup
		mu   sync.Mutex
		seen = make(map[int]int)
	)
	for worker := range workers {
		wg.Go(func() {
			c := chaos{rand.New(rand.NewPCG(2026, uint64(worker)))}
			for range requests / workers {
				status := try(c)
				mu.Lock()
				seen[status]++
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	t.Logf("answers to %d requests by status: %v", requests, seen)
	for _, status := range []int{200, 303, 308, 400, 404, 405} {
		if seen[status] == 0 {
			t.Errorf("no request was answered with %d: they do not reach what they should break", status)
		}
	}
	i.unharmed(t, before, 64<<20)
	i.stop(t) // and has printed everything
	for line := range strings.Lines(i.output.String()) {
		if !json.Valid([]byte(line)) || len(line) > 2000 {
			t.Fatalf("not a log line: %.300q", line)
		}
	}
}

func TestOnlyTheOwnPageCanStartOver(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	i := start(t, "REDIS_URL="+server.URL())
	const host = "counter.example.com"
	for _, test := range []struct {
		name   string
		header map[string]string
		status int
	}{
		{"another site", map[string]string{"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}, 403},
		{"a sibling site", map[string]string{"Sec-Fetch-Site": "same-site", "Origin": "https://blog.example.com"}, 403},
		{"an origin that is hidden", map[string]string{"Origin": "null"}, 403},
		{"another site, in an old browser", map[string]string{"Origin": "https://evil.example"}, 403},
		{"a host that ends the same", map[string]string{"Origin": "https://evil" + host}, 403},
		{"another port", map[string]string{"Origin": "https://" + host + ":8443"}, 403},
		{"an origin that is forged by a header", map[string]string{"Origin": "https://evil.example", "X-Forwarded-Host": "evil.example"}, 403},
		{"another method in disguise", map[string]string{"Sec-Fetch-Site": "cross-site", "X-Http-Method-Override": "GET"}, 403},
		{"the page behind a router", map[string]string{"Origin": "https://" + host, "Sec-Fetch-Site": "same-origin", "X-Forwarded-Proto": "https"}, 303},
		{"the page behind a router, in an old browser", map[string]string{"Origin": "https://" + host, "X-Forwarded-Proto": "https"}, 303},
		{"a person who typed the address", map[string]string{"Sec-Fetch-Site": "none"}, 303},
		{"a program", nil, 303},
	} {
		t.Run(test.name, func(t *testing.T) {
			v := newVisitor(t, i.url)
			visit(t, v)
			w := i.dial(t)
			w.send("POST /reset HTTP/1.1", "Host: "+host, "Cookie: session="+sessionCookie(v), "Content-Length: 0", "")
			for name, value := range test.header {
				w.send(name+": "+value, "")
			}
			w.send("", "")
			if answer := w.answer(http.MethodPost); answer.Status != test.status {
				t.Errorf("status %d, want %d", answer.Status, test.status)
			}
			want := 2
			if test.status == http.StatusSeeOther {
				want = 1
			}
			if got := visit(t, v).Visits; got != want {
				t.Errorf("the next visit is number %d, want %d", got, want)
			}
		})
	}
}

func TestNothingFromOutsideBecomesMarkupOrALogLine(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	const script = `<script>alert(1)</script>`
	for _, format := range []string{"json", "text"} {
		i := start(t, "REDIS_URL="+server.URL(), "INSTANCE="+script+`"'&`, "COOKIE_NAME=a'&`|~b", "LOG_FORMAT="+format, "KEY_PREFIX="+script)
		before := strings.Count(i.output.String(), "\n")
		const evil = `"><img src=x onerror=alert(1)>\n{"msg":"forged"} level=ERROR msg=forged`
		for _, target := range []string{"/", "/<script>alert(1)</script>", "/%0d%0aInjected:1", "/?q=" + script} {
			w := i.dial(t)
			w.send("GET "+target+" HTTP/1.1", "Host: x'&(1)", "Accept: text/html,"+evil, "User-Agent: "+evil,
				"X-Request-Id: "+evil, "X-Forwarded-For: "+evil, "X-Forwarded-Host: "+evil, "X-Forwarded-Proto: "+evil, "Referer: "+evil, "Cookie: "+evil, "", "")
			answer := w.answer(http.MethodGet)
			if answer.Status != http.StatusOK && answer.Status != http.StatusNotFound {
				t.Errorf("%s: %d, the app was not asked", target, answer.Status)
			}
			if strings.Contains(answer.Body, script) || strings.Contains(answer.Body, "<img src=x") || answer.Header.Get("Injected") != "" {
				t.Errorf("%s: %v\n%s", target, answer.Header, answer.Body)
			}
		}
		for _, method := range []string{"<SCRIPT>", "X|forged"} {
			w := i.dial(t)
			w.send(method+" / HTTP/1.1", "Host: x", "", "")
			w.answer(http.MethodGet)
		}
		i.stop(t)
		lines := strings.Split(strings.TrimSpace(i.output.String()), "\n")[before:]
		if len(lines) < 4+1+2 { // requests, the method that is let in, the end
			t.Errorf("the log says nothing of the requests: %q", lines)
		}
		for _, line := range lines {
			if format == "json" && !json.Valid([]byte(line)) || format == "text" && !strings.HasPrefix(line, "time=") {
				t.Errorf("a log line is forged: %s", line)
			}
			if strings.Contains(line, `"msg":"forged"`) || strings.Contains(line, " msg=forged") && !strings.Contains(line, `"\"><img`) {
				t.Errorf("a log line has fields from outside: %s", line)
			}
		}
	}
}

func TestForwardedHeadersAreBelievedOnlyFromTrustedPeers(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	url := "REDIS_URL=" + server.URL()
	trusting := start(t, url, "FORCE_HTTPS=true", "TRUSTED_PROXIES=127.0.0.1")
	wary := start(t, url, "FORCE_HTTPS=true", "TRUSTED_PROXIES=10.0.0.0/8")
	nobody := start(t, url, "FORCE_HTTPS=true", "TRUSTED_PROXIES=none")
	local := start(t, url)
	heroku := start(t, url, "DYNO=web.1")
	for _, test := range []struct {
		name         string
		i            *instance
		target, host string
		header       string
		status       int
		location     string
	}{
		{"from a trusted peer", trusting, "/", "x", "X-Forwarded-Proto: http", 308, "https://x/"},
		{"on a platform", heroku, "/a?b=c", "x.example:80", "X-Forwarded-Proto: http", 308, "https://x.example:80/a?b=c"},
		{"what the nearest proxy says counts", trusting, "/", "x", "X-Forwarded-Proto: https, http", 308, "https://x/"},
		{"not what the client says", trusting, "/", "x", "X-Forwarded-Proto: http, https", 200, ""},
		{"https", trusting, "/", "x", "X-Forwarded-Proto: https", 200, ""},
		{"no router", heroku, "/", "x", "X-Other: http", 200, ""},
		{"health check", heroku, "/healthz", "x", "X-Forwarded-Proto: http", 200, ""},
		{"from a peer that is not trusted", wary, "/", "x", "X-Forwarded-Proto: http", 200, ""},
		{"from nobody", nobody, "/", "x", "X-Forwarded-Proto: http", 200, ""},
		{"locally", local, "/", "x", "X-Forwarded-Proto: http", 200, ""},
		{"another host in a header", trusting, "/", "x", "X-Forwarded-Proto: http\r\nX-Forwarded-Host: evil.example", 308, "https://x/"},
		{"another prefix in a header", trusting, "/healthz/", "x", "X-Forwarded-Proto: http\r\nX-Forwarded-Prefix: //evil.example", 308, "https://x/healthz/"},
		{"two slashes", trusting, "//evil.example/", "x", "X-Forwarded-Proto: http", 308, "https://x//evil.example/"},
		{"a target without a slash", trusting, "http:.evil.example/", "x", "X-Forwarded-Proto: http", 400, ""},
		{"a host with a user", trusting, "/", "x@evil.example", "X-Forwarded-Proto: http", 400, ""},
		{"a host with a path", trusting, "/", "evil.example/x", "X-Forwarded-Proto: http", 400, ""},
		{"no host", trusting, "/", "", "X-Forwarded-Proto: http", 400, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := test.i.dial(t)
			w.send("GET "+test.target+" HTTP/1.1", "Host: "+test.host, test.header, "", "")
			answer := w.answer(http.MethodGet)
			if answer.Status != test.status || answer.Header.Get("Location") != test.location {
				t.Errorf("status %d to %q, want %d to %q", answer.Status, answer.Header.Get("Location"), test.status, test.location)
			}
			if hsts := answer.Header.Get("Strict-Transport-Security") != ""; hsts == (test.i == local) && answer.Status != http.StatusBadRequest {
				t.Errorf("HSTS: %t", hsts)
			}
		})
	}
}
