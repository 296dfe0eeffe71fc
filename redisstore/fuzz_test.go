package redisstore

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"
)

func FuzzVerifyAcceptsNothingThatItDidNotSign(f *testing.F) {
	ring := newKeyring([][]byte{bytes.Repeat([]byte("a"), MinKeyBytes), bytes.Repeat([]byte("b"), MinKeyBytes)})
	foreign := newKeyring([][]byte{bytes.Repeat([]byte("x"), MinKeyBytes)})
	id := newID()
	for _, value := range []string{
		"", ".", id, id + ".", "." + id, ring[0].sign("session", id), ring[1].sign("session", id),
		ring[0].sign("other", id), foreign[0].sign("session", id), strings.Repeat(".", valueLength),
		strings.Repeat("A", idLength) + "." + strings.Repeat("A", macLength), strings.Repeat("\xff", valueLength),
	} {
		f.Add("session", value)
	}
	f.Add("", ring[0].sign("", id))
	f.Add("session="+id, "")
	f.Fuzz(func(t *testing.T, name, value string) {
		got, ok := ring.verify(name, value)
		signed := false
		if len(value) >= idLength {
			for _, s := range ring {
				signed = signed || s.sign(name, value[:idLength]) == value
			}
		}
		if ok != signed || ok && got != value[:idLength] || !ok && got != "" {
			t.Errorf("verify = %q, %v; signed: %v", got, ok, signed)
		}
		if _, ok := foreign.verify(name, value); ok && signed {
			t.Error("two keys made one signature")
		}
		if len(name) > 0 && len(value) == idLength { // what is signed verifies, with its own name only
			cookie := ring[0].sign(name, value)
			if got, ok := ring.verify(name, cookie); !ok || got != value {
				t.Errorf("verify of a signed cookie = %q, %v", got, ok)
			}
			if _, ok := ring.verify(name+"x", cookie); ok {
				t.Error("a signature holds for another name")
			}
		}
	})
}

func FuzzADecodedFieldIsNotRewritten(f *testing.F) {
	for _, text := range []string{
		"", " ", "0", "-0", "00", "1", "-1", "+1", "1.", ".5", "1.0", "1e3", "1E+400", "9007199254740993", "9223372036854775807",
		"9223372036854775808", "-9223372036854775809", "123456789012345678", strings.Repeat("9", 5000), "true", "null", "nul", `""`,
		`"a`, `"\ufffd"`, `"\\ufffd"`, `"\ud800"`, `"` + "\xff" + `"`, `"` + "\x00" + `"`, `"\u0000"`, `"<&>\u2028"`, "[]", "[1,2.0,[null]]",
		`{"a":{"b":[1.50,"x"]},"a":2}`, `{} {}`, "[1", strings.Repeat("[", 20000), "NaN", "Infinity", "\xef\xbb\xbf1",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		value, err := decode(text)
		if err != nil {
			if !errors.Is(err, ErrCorrupt) || value != nil {
				t.Errorf("decode = %v, %v", value, err)
			}
			return
		}
		if !json.Valid([]byte(text)) || !utf8.ValidString(text) {
			t.Fatalf("decode took %q", text)
		}
		encoded, err := encode(value)
		if err != nil {
			t.Fatalf("encode of what was decoded: %v", err)
		}
		if !unchanged(encoded, text) {
			t.Errorf("%q would be rewritten as %q", text, encoded)
		}
		again, err := decode(encoded)
		if err != nil {
			t.Fatalf("decode of what was encoded: %v", err)
		}
		if second, err := encode(again); err != nil || second != encoded {
			t.Errorf("%q is %q the second time, %v", encoded, second, err)
		}
	})
}

func FuzzAnEncodedValueComesBack(f *testing.F) {
	f.Add("", int64(0), 0.0, false)
	f.Add("<é😀\u2028>\x00\n\\ufffd", int64(math.MaxInt64), math.MaxFloat64, true)
	f.Add("\ufffd", int64(math.MinInt64), math.Copysign(0, -1), true)
	f.Add("\xff", int64(-1), math.NaN(), true)
	f.Add("a\xffb", int64(1)<<53+1, math.Inf(-1), false)
	f.Add("\\\xff", int64(7), math.SmallestNonzeroFloat64, false)
	f.Fuzz(func(t *testing.T, text string, n int64, x float64, yes bool) {
		for _, value := range []any{text, int(n), x, yes, []any{text, int(n)}, map[string]any{"text": text, "yes": yes}} {
			encoded, err := encode(value)
			bad := !utf8.ValidString(text) && !isPlain(value) || isBadFloat(value)
			if bad != (err != nil) || err != nil && !errors.Is(err, ErrInvalid) {
				t.Fatalf("encode(%#v) = %q, %v", value, encoded, err)
			}
			if err != nil {
				continue
			}
			if strings.Contains(encoded, separator) {
				t.Errorf("%q contains NUL", encoded)
			}
			back, err := decode(encoded)
			if err != nil || !reflect.DeepEqual(back, value) {
				t.Errorf("%#v came back as %#v, %v", value, back, err)
			}
		}
	})
}

// isPlain reports whether no text is in v.
func isPlain(v any) bool {
	switch v.(type) {
	case int, float64, bool:
		return true
	}
	return false
}

func isBadFloat(v any) bool {
	x, ok := v.(float64)
	return ok && (math.IsNaN(x) || math.IsInf(x, 0))
}

func FuzzParseNeverPanics(f *testing.F) {
	for _, text := range []string{
		"", "OK", "OK\x001000", "OK\x001000\x001\x00visits\x001", "OK\x00x\x000", "GONE", "LATE", "TOOLARGE", "OVERFLOW\x00n", "CORRUPT",
		"CORRUPT\x00\xff", "\x00\x00\x00",
		"OK\x0060000\x002\x00@created\x001795252800000\x00visits\x001", "OK\x001\x001\x00visits\x00x", "OK\x001\x00-1", "OK\x001\x000",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		answer, err := parse(text)
		if (err == nil) != strings.HasPrefix(text+"\x00", "OK\x00") {
			t.Fatalf("parse(%q) = %v", text, err)
		}
		if err != nil {
			return
		}
		op := newIncrement("visits", 1, 0)
		rec := &record{session: emptySession(), id: "id"}
		if err := op.take(rec, answer); err != nil {
			if !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrUnavailable) || len(rec.session.Values) != 0 || rec.fields != nil {
				t.Errorf("take = %v, and left %d values", err, len(rec.session.Values))
			}
			return
		}
		if _, ok := rec.session.Values["visits"]; !ok {
			t.Error("a session without the counter was taken")
		}
	})
}
