package e2e

import (
	"bytes"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"visit-counter/internal/visitor"
)

// newVisitor returns a visitor who keeps their connections. All answers to them are searched for secrets.
func newVisitor(t testing.TB, address string) *visitor.Visitor {
	t.Helper()
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = 128
	t.Cleanup(transport.CloseIdleConnections)
	return visitor.New(address, searched{transport, t})
}

// searched reads each answer to its end, and looks for secrets in it.
type searched struct {
	http.RoundTripper
	t testing.TB
}

func (s searched) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := s.RoundTripper.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(answer.Body)
	_ = answer.Body.Close()
	if err != nil {
		return nil, err
	}
	search(s.t, string(body), slices.Concat(r.Cookies(), answer.Cookies())...)
	answer.Body = io.NopCloser(bytes.NewReader(body))
	return answer, nil
}

// visit makes a visit, which must be counted.
func visit(t testing.TB, v *visitor.Visitor, headers ...string) visitor.Page {
	t.Helper()
	answer, err := v.Visit(t.Context(), headers...)
	if err != nil {
		t.Fatalf("a visit failed: %v\n%s", err, answer.Body)
	}
	return answer.Page
}

// count makes the first n visits of a visitor to the instances in turn, which must have the numbers from 1 to n.
func count(t testing.TB, v *visitor.Visitor, n int, instances ...*instance) {
	t.Helper()
	for want := 1; want <= n; want++ {
		if got := visit(t, v.At(instances[want%len(instances)].url)).Visits; got != want {
			t.Fatalf("visit %d says %d", want, got)
		}
	}
}

// request sends a request, which must be answered. headers are names and values in turn.
func request(t testing.TB, v *visitor.Visitor, method, path string, headers ...string) visitor.Answer {
	t.Helper()
	answer, err := v.Request(t.Context(), method, path, headers...)
	must(t, err)
	return answer
}

// request sends a request without cookies.
func (i *instance) request(t testing.TB, method, path string, headers ...string) visitor.Answer {
	t.Helper()
	return request(t, newVisitor(t, i.url), method, path, headers...)
}

func (i *instance) get(t testing.TB, path string, headers ...string) visitor.Answer {
	t.Helper()
	return i.request(t, http.MethodGet, path, headers...)
}

// sessionCookie returns the value of the visitor's session cookie, "" if there is none.
func sessionCookie(v *visitor.Visitor) string {
	for _, c := range v.Cookies() {
		if strings.HasSuffix(c.Name, "session") {
			return c.Value
		}
	}
	return ""
}

// sessionID returns the id of the visitor's session.
func sessionID(v *visitor.Visitor) string {
	id, _, _ := strings.Cut(sessionCookie(v), ".")
	return id
}

// sessionKey returns the key of the visitor's session in Redis.
func sessionKey(v *visitor.Visitor) string { return "visits:session:" + sessionID(v) }
