package redisstore

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

// BenchmarkCookie verifies the cookie of a request and signs that of the answer.
func BenchmarkCookie(b *testing.B) {
	ring := keyring{newSigner([]byte(strings.Repeat("k", MinKeyBytes)))}
	cookies := []*http.Cookie{{Name: "session", Value: ring[0].sign("session", newID())}}
	b.ReportAllocs()
	for b.Loop() {
		id, ok := ring.first("session", cookies)
		if !ok || ring[0].sign("session", id) != cookies[0].Value {
			b.Fatal("the cookie is not valid")
		}
	}
}

// BenchmarkField encodes and decodes values of several types.
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
