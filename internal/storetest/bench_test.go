package storetest_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"visit-counter/internal/redistest"
	"visit-counter/redisstore"
)

// BenchmarkIncrement measures one round trip to a real Redis with everything around it: reading and setting the cookie, and
// filling the session.
func BenchmarkIncrement(b *testing.B) {
	store := newStore(b, client(b, redistest.Start(b)))
	first := httptest.NewRecorder()
	if _, err := increment(store, first, httptest.NewRequest(http.MethodGet, "/", nil)); err != nil {
		b.Fatal(err)
	}
	request := httptest.NewRequest(http.MethodGet, "/", nil)
	request.AddCookie(first.Result().Cookies()[0])
	b.ReportAllocs()
	for b.Loop() {
		if _, err := increment(store, httptest.NewRecorder(), request.Clone(b.Context())); err != nil {
			b.Fatal(err)
		}
	}
}

// increment counts a visit as the app does.
func increment(s *redisstore.Store, w http.ResponseWriter, r *http.Request) (redisstore.Result, error) {
	return s.Session(w, r, cookieName).Increment("visits", 1, redisstore.And("process:a", 1))
}
