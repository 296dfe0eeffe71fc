package redisstore

import (
	"net/http"
	"strings"
	"testing"
)

// BenchmarkCookie checks a request's cookie and signs the answer's.
func BenchmarkCookie(b *testing.B) {
	ring := newKeyring([][]byte{[]byte(strings.Repeat("k", MinKeyBytes))})
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
	for name, value := range map[string]any{
		"int": 1234567, "string": "a text with \"quotes\"", "object": map[string]any{"a": 1, "b": []any{"c", 2.5}},
	} {
		text, err := encode(value)
		if err != nil {
			b.Fatal(err)
		}
		b.Run("encode/"+name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := encode(value); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run("decode/"+name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := decode(text); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
