package redisstore

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

func FuzzVerifyAcceptsNothingThatItDidNotSign(f *testing.F) {
	ring := keyring{newSigner(bytes.Repeat([]byte("a"), MinKeyBytes)), newSigner(bytes.Repeat([]byte("b"), MinKeyBytes))}
	foreign := keyring{newSigner(bytes.Repeat([]byte("x"), MinKeyBytes))}
	id := newID()
	for _, value := range []string{
		"", ".", id, id + ".", "." + id, ring[0].sign("session", id), ring[1].sign("session", id),
		ring[0].sign("other", id), foreign[0].sign("session", id), strings.Repeat(".", 73),
		strings.Repeat("A", maxIDLength) + "." + strings.Repeat("A", macLength), strings.Repeat("\xff", 73),
		ring[0].sign("session", strings.Repeat("A", 27)), ring[0].sign("session", ""), ring[0].sign("session", id+"A"),
	} {
		f.Add("session", value)
	}
	f.Add("", ring[0].sign("", id))
	f.Add("session="+id, "")
	f.Fuzz(func(t *testing.T, name, value string) {
		got, ok := ring.verify(name, value)
		signed, want := false, ""
		if dot := strings.LastIndexByte(value, '.'); dot > 0 && dot <= maxIDLength {
			for _, s := range ring {
				signed = signed || s.sign(name, value[:dot]) == value
			}
			if signed {
				want = value[:dot]
			}
		}
		if ok != signed || got != want {
			t.Errorf("verify = %q, %v; want %q, %v", got, ok, want, signed)
		}
		if _, ok := foreign.verify(name, value); ok && signed {
			t.Error("two keys made the same signature")
		}
		if len(name) > 0 && len(value) > 0 && len(value) <= maxIDLength { // a signed cookie is valid, but only under its own name
			cookie := ring[0].sign(name, value)
			if got, ok := ring.verify(name, cookie); !ok || got != value {
				t.Errorf("verify of a signed cookie = %q, %v", got, ok)
			}
			if _, ok := ring.verify(name+"x", cookie); ok {
				t.Error("a signature is valid under another name")
			}
		}
	})
}

func FuzzADecodedFieldIsNotRewritten(f *testing.F) {
	known := newTypes()
	for _, text := range []string{
		"", " ", "0", "-0", "00", "1", "-1", "+1", "1.", ".5", "1.0", "1e3", "1E+400", "9007199254740993", "9223372036854775807",
		"9223372036854775808", "-9223372036854775809", "123456789012345678", strings.Repeat("9", 5000), "true", "null", "nul", `""`,
		`"a`, `"\ufffd"`, `"\\ufffd"`, `"\ud800"`, `"` + "\xff" + `"`, `"` + "\x00" + `"`, `"\u0000"`, `"<&>\u2028"`, "[]", "[1,2.0,[null]]",
		`{"a":{"b":[1.50,"x"]},"a":2}`, `{} {}`, "[1", strings.Repeat("[", 20000), "NaN", "Infinity", "\xef\xbb\xbf1",
	} {
		for _, types := range []string{
			"", "int", "time.Time", "[]string", "map[string]any", "any", "*any", "**int", "[3]uint8", ";base64", "string;base64", "main.User",
			`{"":"[]any","/0":"int64"}`, `{"/a":"uint8","/a/b":";base64"}`, `{`, "[9999999999]int", "map[[]int]string", "map[any]any", "[1000000][1000000]int",
		} {
			f.Add(text, types)
		}
	}
	f.Fuzz(func(t *testing.T, text, types string) {
		value, err := known.decode(text, types)
		if err != nil {
			if !errors.Is(err, ErrCorrupt) {
				t.Errorf("decode = %v, %v", value, err)
			}
			return
		}
		if !json.Valid([]byte(text)) || !utf8.ValidString(text) {
			t.Fatalf("decode accepted %q", text)
		}
		encoded, encodedTypes, err := known.encode(value)
		if errors.Is(err, ErrInvalid) && types != "" {
			return // such as a NaN, or a value nested too deeply: it stays as it is
		}
		if err != nil {
			t.Fatalf("encode of a decoded value: %v", err)
		}
		if !known.same(encoded, encodedTypes, text, types) {
			t.Errorf("%q, %q would be rewritten as %q, %q", text, types, encoded, encodedTypes)
		}
		again, err := known.decode(encoded, encodedTypes)
		if err != nil {
			t.Fatalf("decode of an encoded value: %v", err)
		}
		if second, secondTypes, err := known.encode(again); err != nil || second != encoded || secondTypes != encodedTypes {
			t.Errorf("%q is %q the second time, %v", encoded, second, err)
		}
	})
}

// Named types like those of real programs.
type (
	fuzzRole uint8
	fuzzName string
	fuzzUser struct {
		Name  fuzzName
		Roles map[fuzzRole]bool
		Boss  *fuzzUser
		Extra any
		When  time.Time
		Raw   []byte
		Sums  [2]float32
	}
)

// maker makes random types and values.
type maker struct{ *rand.Rand }

var fuzzNamed = []reflect.Type{
	timeType, reflect.TypeFor[time.Duration](), reflect.TypeFor[json.Number](),
	reflect.TypeFor[fuzzRole](), reflect.TypeFor[fuzzName](), reflect.TypeFor[fuzzUser](),
}

func (m maker) typ(depth int, key bool) reflect.Type {
	kinds := 6
	if key || depth > 4 {
		kinds = 2
	}
	switch m.IntN(kinds) {
	case 0:
		if key {
			return append(basicTypes, reflect.TypeFor[fuzzRole](), reflect.TypeFor[fuzzName](), anyType, timeType)[m.IntN(len(basicTypes)+4)]
		}
		return basicTypes[m.IntN(len(basicTypes))]
	case 1:
		if key {
			return reflect.TypeFor[string]()
		}
		return append(fuzzNamed, anyType)[m.IntN(len(fuzzNamed)+1)]
	case 2:
		return reflect.PointerTo(m.typ(depth+1, false))
	case 3:
		return reflect.SliceOf(m.typ(depth+1, false))
	case 4:
		return reflect.ArrayOf(m.IntN(4), m.typ(depth+1, false))
	}
	return reflect.MapOf(m.typ(depth+1, true), m.typ(depth+1, false))
}

func (m maker) text() string {
	alphabet := []string{"a", "Z", "0", "é", "😀", "\x00", "\xff", `"`, `\`, "/", "~", "<", "\u2028", "\ufffd", " "}
	var text strings.Builder
	for range m.IntN(6) {
		text.WriteString(alphabet[m.IntN(len(alphabet))])
	}
	return text.String()
}

func (m maker) float() float64 {
	for {
		if f := math.Float64frombits(m.Uint64()); !math.IsNaN(f) && !math.IsInf(f, 0) {
			return []float64{f, 0, math.Copysign(0, -1), float64(m.IntN(1000)), m.NormFloat64()}[m.IntN(5)]
		}
	}
}

// fill sets v to a value of its type.
func (m maker) fill(v reflect.Value, depth int, key bool) {
	typ := v.Type()
	if isNilable(typ) && !key && (m.IntN(5) == 0 || depth > 8) {
		return
	}
	switch typ.Kind() {
	case reflect.Bool:
		v.SetBool(m.IntN(2) == 0)
	case reflect.String:
		v.SetString(m.text())
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		v.SetInt(int64(m.Uint64()) >> (64 - typ.Bits()) >> m.IntN(typ.Bits()))
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		v.SetUint(m.Uint64() >> (64 - typ.Bits()) >> m.IntN(typ.Bits()))
	case reflect.Float32:
		v.SetFloat(float64(float32(m.NormFloat64() * 1e10)))
	case reflect.Float64:
		v.SetFloat(m.float())
	case reflect.Complex64:
		v.SetComplex(complex(float64(float32(m.NormFloat64())), float64(float32(m.NormFloat64()))))
	case reflect.Complex128:
		v.SetComplex(complex(m.float(), m.float()))
	case reflect.Pointer:
		v.Set(reflect.New(typ.Elem()))
		m.fill(v.Elem(), depth+1, false)
	case reflect.Slice:
		n := m.IntN(4)
		v.Set(reflect.MakeSlice(typ, n, n))
		fallthrough
	case reflect.Array:
		for i := range v.Len() {
			m.fill(v.Index(i), depth+1, false)
		}
	case reflect.Map:
		v.Set(reflect.MakeMap(typ))
		for range m.IntN(4) {
			name, value := reflect.New(typ.Key()).Elem(), reflect.New(typ.Elem()).Elem()
			m.fill(name, depth+1, true)
			m.fill(value, depth+1, false)
			v.SetMapIndex(name, value)
		}
	case reflect.Interface:
		held := reflect.New(m.typ(depth+1, key)).Elem()
		for held.Kind() == reflect.Interface {
			held = reflect.New(m.typ(depth+1, key)).Elem()
		}
		m.fill(held, depth+1, key)
		v.Set(held)
	case reflect.Struct:
		if typ == timeType {
			when := time.Unix(m.Int64N(4e9)-2e9, m.Int64N(1e9))
			v.Set(reflect.ValueOf([]time.Time{when.UTC(), when, {}}[m.IntN(3)]))
			return
		}
		for i := range v.NumField() {
			m.fill(v.Field(i), depth+1, false)
		}
	}
}

func FuzzWhatIsSetComesBackAsItWas(f *testing.F) {
	known := newTypes()
	for _, typ := range fuzzNamed {
		if err := known.add(typ); err != nil {
			f.Fatal(err)
		}
	}
	for seed := range uint64(3000) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, seed uint64) {
		m := maker{rand.New(rand.NewPCG(seed, 0))}
		var value any
		m.fill(reflect.ValueOf(&value).Elem(), 0, false)
		text, types, err := known.encode(value)
		if err != nil {
			t.Fatalf("encode(%#v) = %v", value, err)
		}
		if !json.Valid([]byte(text)) || !utf8.ValidString(text) {
			t.Fatalf("%#v is %q", value, text)
		}
		back, err := known.decode(text, types)
		if err != nil || !reflect.DeepEqual(back, value) {
			t.Fatalf("%#v is %q, %q, and came back as %#v, %v", value, text, types, back, err)
		}
		if again, againTypes, err := known.encode(back); err != nil || again != text || againTypes != types {
			t.Errorf("%q, %q is %q, %q the second time, %v", text, types, again, againTypes, err)
		}
	})
}

func FuzzAScriptsAnswerNeverPanics(f *testing.F) {
	for _, text := range []string{
		"", "OK", "1000 OK", "visits 1 1000 OK", "x OK", "GONE", "LATE", "TOOLARGE", "n OVERFLOW", "CORRUPT", "\xff CORRUPT", "  ",
		"@created 1795252800000 visits 1 60000 OK", "visits x 1 OK", "visits 1 OK", "@created 1795252800000 1 OK",
		"@created 1795252800000 visits 1 @maxage 99999999999999999999 1 OK", "@created 1 visits 1 @type:visits { 1 OK",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		fields, _, err := parse(strings.Split(text, " "))
		if err != nil {
			return
		}
		op := &increment{counters: []any{"visits", int64(1)}}
		rec := &record{store: &Store{types: newTypes()}, name: "session", id: "id"}
		rec.begin()
		if err := op.read(rec, pairs(fields)); err != nil {
			if !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrUnavailable) {
				t.Errorf("read = %v", err)
			}
			return
		}
		if _, ok := rec.session.Values["visits"]; !ok {
			t.Error("read accepted a session without the counter")
		}
	})
}
