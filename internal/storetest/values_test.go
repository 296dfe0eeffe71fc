package storetest_test

import (
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/gin-contrib/sessions"
	"github.com/gin-gonic/gin"
	"github.com/redis/go-redis/v9"

	"visit-counter/internal/redistest"
	"visit-counter/redisstore"
)

type address struct {
	Town string `json:"town"`
	Zip  int    `json:"zip"`
}

type person struct {
	Name    string
	Age     int
	Weight  float64
	Address *address `json:"address"`
	Tags    []string
}

// degrees is a number that writes itself as a text.
type degrees float64

func (d degrees) MarshalText() ([]byte, error) { return fmt.Appendf(nil, "%.0f°", float64(d)), nil }

// metres is a number that writes itself as one.
type metres float64

func (m metres) MarshalJSON() ([]byte, error) { return fmt.Appendf(nil, "%.0f", float64(m)), nil }

func TestValuesComeBackAsDocumented(t *testing.T) {
	when := time.Date(2026, 11, 21, 9, 18, 0, 5, time.UTC)
	seven, half := 7, 0.5
	for _, test := range []struct {
		name    string
		in, out any
		text    string
	}{
		{"text", "Ann", "Ann", `"Ann"`},
		{"empty text", "", "", `""`},
		{"text that looks like HTML", "<a&b>", "<a&b>", `"<a&b>"`},
		{"text with quotes, NUL and others", "\"\\\x00\n\u2028é😀\ufffd", "\"\\\x00\n\u2028é😀\ufffd", `"\"\\\u0000\n\u2028é😀` + "\ufffd" + `"`},
		{"text that looks like an escape", `\ufffd`, `\ufffd`, `"\\ufffd"`},
		{"text that looks like a number", "12", "12", `"12"`},
		{"true", true, true, "true"},
		{"false", false, false, "false"},
		{"nil", nil, nil, "null"},
		{"int", 42, 42, "42"},
		{"zero", 0, 0, "0"},
		{"negative", -42, -42, "-42"},
		{"beyond 2^53", 1<<53 + 1, 1<<53 + 1, "9007199254740993"},
		{"int64 max", int64(math.MaxInt64), math.MaxInt64, "9223372036854775807"},
		{"int64 min", int64(math.MinInt64), math.MinInt64, "-9223372036854775808"},
		{"int8", int8(-5), -5, "-5"},
		{"uint32", uint32(5), 5, "5"},
		{"uint64 max", uint64(math.MaxUint64), json.Number("18446744073709551615"), "18446744073709551615"},
		{"big", new(big.Int).Lsh(big.NewInt(1), 70), json.Number("1180591620717411303424"), "1180591620717411303424"},
		{"number with its digits", json.Number("1.10"), 1.1, "1.10"},
		{"float", 1.5, 1.5, "1.5"},
		{"whole float", 2.0, 2.0, "2.0"},
		{"whole negative float", -3.0, -3.0, "-3.0"},
		{"large float", 1e300, 1e300, "1e+300"},
		{"small float", 1e-7, 1e-7, "1e-7"},
		{"float32", float32(0.1), 0.1, "0.1"},
		{"whole float32", float32(3), 3.0, "3.0"},
		{"float that is a text", degrees(21), "21°", `"21°"`},
		{"float that writes itself", metres(21), 21.0, "21.0"},
		{"pointer", &seven, 7, "7"},
		{"pointer to a float", &half, 0.5, "0.5"},
		{"nil pointer", (*float64)(nil), nil, "null"},
		{"duration", time.Second, 1_000_000_000, "1000000000"},
		{"time", when, "2026-11-21T09:18:00.000000005Z", `"2026-11-21T09:18:00.000000005Z"`},
		{"bytes", []byte{0, 1, 255}, "AAH/", `"AAH/"`},
		{"slice", []int{1, 2}, []any{1, 2}, "[1,2]"},
		{"nil slice", []int(nil), nil, "null"},
		{"empty slice", []int{}, []any{}, "[]"},
		{"floats in a slice", []float64{1, 1.5}, []any{1, 1.5}, "[1,1.5]"},
		{"array of texts", [2]string{"a", "b"}, []any{"a", "b"}, `["a","b"]`},
		{"map", map[string]any{"b": 1, "a": []any{"x", nil}}, map[string]any{"b": 1, "a": []any{"x", nil}}, `{"a":["x",null],"b":1}`},
		{"map with numbers as keys", map[int]bool{7: true}, map[string]any{"7": true}, `{"7":true}`},
		{
			"nested structs", person{Name: "Ann", Age: 30, Weight: 60.5, Address: &address{"Ulm", 89073}, Tags: []string{"x"}},
			map[string]any{"Name": "Ann", "Age": 30, "Weight": 60.5, "address": map[string]any{"town": "Ulm", "zip": 89073}, "Tags": []any{"x"}},
			`{"Name":"Ann","Age":30,"Weight":60.5,"address":{"town":"Ulm","zip":89073},"Tags":["x"]}`,
		},
		{"JSON", json.RawMessage(` {"a" : 1.0} `), map[string]any{"a": 1.0}, `{"a":1.0}`},
	} {
		t.Run(test.name, func(t *testing.T) {
			onBoth(t, func(t *testing.T, rdb *redis.Client) {
				s := newStore(t, rdb)
				b := &browser{t: t}
				b.set(s, "value", test.in)
				want(t, "text in Redis", rdb.HGet(t.Context(), b.key(), "value").Val(), test.text)
				b.request(s, func(c *gin.Context) {
					if got := sessions.Default(c).Get("value"); !reflect.DeepEqual(got, test.out) {
						t.Errorf("loaded: %T %v, want %T %v", got, got, test.out, test.out)
					}
				})
				b.request(s, func(c *gin.Context) {
					_, err := redisstore.Increment(c, "visits", 1)
					must(t, err)
					if got := sessions.Default(c).Get("value"); !reflect.DeepEqual(got, test.out) {
						t.Errorf("incremented: %T %v, want %T %v", got, got, test.out, test.out)
					}
				})
			})
		})
	}
}

func TestWhatJSONCannotHoldIsRefused(t *testing.T) {
	cycle := map[string]any{}
	cycle["itself"] = cycle
	onBoth(t, func(t *testing.T, rdb *redis.Client) {
		s := newStore(t, rdb)
		for name, pair := range map[string][2]any{
			"NaN":                        {"x", math.NaN()},
			"infinite":                   {"x", math.Inf(1)},
			"channel":                    {"x", make(chan int)},
			"function":                   {"x", func() {}},
			"complex":                    {"x", 1i},
			"cycle":                      {"x", cycle},
			"not UTF-8":                  {"x", "\xff"},
			"not UTF-8, inside":          {"x", []any{map[string]any{"y": "a\xffb"}}},
			"not UTF-8, beside a U+FFFD": {"x", "\ufffd\xff"},
			"not UTF-8, as JSON":         {"x", json.RawMessage("\"\xff\"")},
			"no JSON":                    {"x", json.RawMessage("{")},
			"no number":                  {"x", json.Number("one")},
			"number as a name":           {1, "x"},
			"struct as a name":           {struct{}{}, "x"},
			"empty name":                 {"", "x"},
			"reserved name":              {"@created", 1},
			"NUL in a name":              {"a\x00b", 1},
			"a name that is not UTF-8":   {"\xff", 1},
		} {
			b := &browser{t: t}
			w := b.request(s, func(c *gin.Context) {
				if err := save(c, pair[0], pair[1]); err == nil {
					t.Errorf("%s: saved", name)
				} else {
					wantError(t, err, redisstore.ErrInvalid)
				}
				_, err := redisstore.Increment(c, "visits", 1) // with what is unsaved and invalid
				wantError(t, err, redisstore.ErrInvalid)
			})
			noCookie(t, w)
		}
		for _, counter := range []string{"", "@created", "a\x00b", "\xff"} {
			(&browser{t: t}).request(s, func(c *gin.Context) {
				_, err := redisstore.Increment(c, counter, 1)
				wantError(t, err, redisstore.ErrInvalid)
				_, err = redisstore.Increment(c, "visits", 1, redisstore.And(counter, 1))
				wantError(t, err, redisstore.ErrInvalid)
			})
		}
		want(t, "sessions", len(sessionKeys(t, rdb)), 0)
	})
}

func TestDeleteClearAndFlashes(t *testing.T) {
	onBoth(t, func(t *testing.T, rdb *redis.Client) {
		s := newStore(t, rdb)
		b := &browser{t: t}
		b.set(s, "name", "Ann", "age", 30, "town", "Ulm")
		b.request(s, func(c *gin.Context) {
			session := sessions.Default(c)
			session.Delete("name")
			session.Delete("never there")
			must(t, session.Save())
		})
		want(t, "name", b.get(s, "name"), nil)
		want(t, "age", b.get(s, "age"), any(30))

		b.request(s, func(c *gin.Context) {
			session := sessions.Default(c)
			session.AddFlash("saved")
			session.AddFlash(7, "numbers")
			must(t, session.Save())
		})
		flashes := func(names ...string) (found []any) {
			b.request(s, func(c *gin.Context) {
				session := sessions.Default(c)
				found = session.Flashes(names...)
				must(t, session.Save())
			})
			return found
		}
		want(t, "flashes", fmt.Sprint(flashes()), "[saved]")
		want(t, "flashes, shown once", fmt.Sprint(flashes()), "[]")
		want(t, "other flashes", fmt.Sprint(flashes("numbers")), "[7]")

		id := b.id()
		b.request(s, func(c *gin.Context) {
			session := sessions.Default(c)
			session.Clear()
			session.Set("age", 31)
			must(t, session.Save())
			session.Set("name", "Bob") // a second save in the same request
			must(t, session.Save())
		})
		for name, value := range map[string]any{"age": 31, "name": "Bob", "town": nil} {
			want(t, name, b.get(s, name), value)
		}
		want(t, "id", b.id(), id)
	})
}

func TestAValueThatIsChangedInPlaceIsSaved(t *testing.T) {
	onBoth(t, func(t *testing.T, rdb *redis.Client) {
		s := newStore(t, rdb)
		b := &browser{t: t}
		b.set(s, "list", []any{"a"}, "map", map[string]any{"a": 1})
		b.request(s, func(c *gin.Context) {
			session := sessions.Default(c)
			session.Get("map").(map[string]any)["a"] = 2
			session.Get("list").([]any)[0] = "b"
			must(t, save(c))
			session.Set("other", 1)
			must(t, session.Save())
		})
		want(t, "map", fmt.Sprint(b.get(s, "map")), "map[a:2]")
		want(t, "list", fmt.Sprint(b.get(s, "list")), "[b]")
	})
}

// Other programs may write the same JSON differently.
func TestWhatOthersWroteIsNotRewrittenUnchanged(t *testing.T) {
	onBoth(t, func(t *testing.T, rdb *redis.Client) {
		s := newStore(t, rdb)
		b := &browser{t: t}
		b.set(s, "mine", 1)
		foreign := map[string]string{
			"blanks": ` { "b" : 1 , "a" : [ 1.0 ] } `, "escapes": `"\u00e9\/"`, "exponent": "1E2", "big": strings.Repeat("9", 5000),
			"too big": "1e400", "minus zero": "-0", "surrogate": `"\ud800"`, "twice": `{"a":1,"a":2}`,
		}
		for name, text := range foreign {
			must(t, rdb.HSet(t.Context(), b.key(), name, text).Err())
		}
		b.request(s, func(c *gin.Context) {
			want(t, "exponent", sessions.Default(c).Get("exponent"), any(100.0))
			must(t, save(c, "mine", 2))
		})
		stored := rdb.HGetAll(t.Context(), b.key()).Val()
		for name, text := range foreign {
			want(t, name, stored[name], text)
		}
		want(t, "mine", stored["mine"], "2")
	})
}

func TestTheKeyIsReadableByPeople(t *testing.T) {
	rdb := client(t, redistest.Start(t))
	s := newStore(t, rdb, redisstore.WithPrefix("shop:"))
	b := &browser{t: t}
	b.set(s, "name", "Ann")
	b.visit(s)
	fields := rdb.HGetAll(t.Context(), "shop:session:"+b.id()).Val()
	want(t, "name", fields["name"], `"Ann"`)
	want(t, "visits", fields["visits"], "1")
	created, err := json.Number(fields["@created"]).Int64()
	must(t, err)
	if age := time.Since(time.UnixMilli(created)); age < -time.Minute || age > time.Minute {
		t.Errorf("created %v ago", age)
	}
	want(t, "fields", len(fields), 4) // and one remembered number
	if use := rdb.MemoryUsage(t.Context(), "shop:session:"+b.id()).Val(); use > 600 {
		t.Errorf("a small session takes %d bytes of Redis", use)
	}
}
