package visitor_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"
	"time"

	"visit-counter/internal/visitor"
)

var errUnanswered = errors.New("no answer")

// answered returns an answer with the number, or no answer if it is 0.
func answered(number int) (visitor.Answer, error) {
	if number == 0 {
		return visitor.Answer{}, errUnanswered
	}
	return visitor.Answer{Page: visitor.Page{Visits: number, Instance: "web.1"}, Took: time.Millisecond}, nil
}

func TestLostAndDoubledVisitsAreDetected(t *testing.T) {
	tests := []struct {
		name        string
		numbers     []int
		counted     int
		exact, kept bool
	}{
		{"all counted", []int{2, 3, 4}, 3, true, true},
		{"one lost", []int{2, 3, 3}, 2, false, false},
		{"one counted twice", []int{2, 4, 5}, 4, false, false},
		{"one number twice, another one skipped", []int{2, 2, 4}, 3, false, false},
		{"unanswered, not counted", []int{2, 0, 3}, 2, false, true},
		{"unanswered, counted", []int{2, 0, 4}, 3, false, true},
		{"unanswered, counted twice", []int{2, 0, 5}, 4, false, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var tally visitor.Tally
			for _, number := range tt.numbers {
				tally.Add(answered(number))
			}
			if err := tally.CheckExact(tt.counted, time.Second); (err == nil) != tt.exact {
				t.Errorf("CheckExact: %v, want success: %v", err, tt.exact)
			}
			if err := tally.Check(tt.counted, time.Second); (err == nil) != tt.kept {
				t.Errorf("Check: %v, want success: %v", err, tt.kept)
			}
			if err := tally.Check(tt.counted, time.Microsecond); err == nil {
				t.Error("Check accepts an answer that took longer than the limit")
			}
		})
	}
}

func TestOnlyThePromisedRefusalIsErrRefused(t *testing.T) {
	tests := []struct {
		name    string
		status  int
		header  []string
		refused bool
	}{
		{"as promised", 503, []string{"Retry-After", "1", "Cache-Control", "no-store"}, true},
		{"another status", 502, []string{"Retry-After", "1", "Cache-Control", "no-store"}, false},
		{"without Retry-After", 503, []string{"Cache-Control", "no-store"}, false},
		{"without Cache-Control", 503, []string{"Retry-After", "1"}, false},
		{"a new cookie", 503, []string{"Retry-After", "1", "Cache-Control", "no-store", "Set-Cookie", "session=x"}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				for i := 0; i < len(tt.header); i += 2 {
					w.Header().Set(tt.header[i], tt.header[i+1])
				}
				w.WriteHeader(tt.status)
			}))
			defer server.Close()
			if _, err := visitor.New(server.URL, nil).Visit(t.Context()); errors.Is(err, visitor.ErrRefused) != tt.refused || err == nil {
				t.Errorf("err = %v, want ErrRefused: %v", err, tt.refused)
			}
		})
	}
}

func TestAPageThatContradictsItselfIsAnError(t *testing.T) {
	for body, consistent := range map[string]bool{
		`{"visits":3,"instance":"a","processes":[{"instance":"a","visits":2,"current":true}],"earlier_visits":1}`: true,
		`{"visits":3,"instance":"a","processes":[{"instance":"a","visits":2,"current":true}]}`:                    false,
		`{"visits":2,"instance":"a","processes":[{"instance":"b","visits":2,"current":true}]}`:                    false,
		`{"visits":2,"instance":"a","processes":[{"instance":"a","visits":2}]}`:                                   false,
		`{"visits":0,"instance":"a","processes":[{"instance":"a","current":true}]}`:                               false,
		`<html>`: false,
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(body)) }))
		if _, err := visitor.New(server.URL, nil).Visit(t.Context()); (err == nil) != consistent {
			t.Errorf("%s: %v, want success: %v", body, err, consistent)
		}
		server.Close()
	}
}

func TestAVisitorKeepsItsCookies(t *testing.T) {
	count := func(w http.ResponseWriter, r *http.Request) {
		n := 0
		if c, err := r.Cookie("n"); err == nil {
			n, _ = strconv.Atoi(c.Value)
		}
		http.SetCookie(w, &http.Cookie{Name: "n", Value: strconv.Itoa(n + 1), Path: "/"})
		_, _ = w.Write([]byte(strconv.Itoa(n)))
	}
	one, two := httptest.NewServer(http.HandlerFunc(count)), httptest.NewServer(http.HandlerFunc(count))
	defer one.Close()
	defer two.Close()
	v := visitor.New(one.URL, nil)
	sees := func(v *visitor.Visitor, want string) {
		t.Helper()
		if a, err := v.Request(t.Context(), http.MethodGet, "/"); err != nil || a.Body != want {
			t.Errorf("the app saw %q visits before (%v), want %q", a.Body, err, want)
		}
	}
	sees(v, "0")
	sees(v.At(two.URL), "1")
	clone := v.Clone()
	sees(v, "2")
	sees(clone, "2")
	clone.SetCookie("n", "40")
	sees(clone, "40")
	sees(v, "3")
}
