package redisstore

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

// BenchmarkCookie checks a request's cookie and signs the answer's.
func BenchmarkCookie(b *testing.B) {
	ring := keyring{newSigner([]byte(strings.Repeat("k", MinKeyBytes)))}
	cookies := []*http.Cookie{{Name: "session", Value: ring[0].sign("session", newID())}}
	b.ReportAllocs()
	for b.Loop() {
		id, ok := ring.first("session", cookies)
		if !ok || ring[0].sign("session", id) != cookies[0].Value {
			b.Fatal("the cookie is not accepted")
		}
	}
}

// BenchmarkField writes and reads values of three kinds.
func BenchmarkField(b *testing.B) {
	known := newTypes()
	for name, value := range map[string]any{
		"int": 1234567, "string": "a text with \"quotes\"", "object": map[string]any{"a": 1, "b": []any{"c", 2.5}},
		"strings": []string{"a", "b"}, "time": time.Now(),
	} {
		text, types, err := known.encode(value)
		if err != nil {
			b.Fatal(err)
		}
		b.Run("encode/"+name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, _, err := known.encode(value); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run("decode/"+name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := known.decode(text, types); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
