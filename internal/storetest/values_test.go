package storetest_test

import (
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gin-contrib/sessions"
	"github.com/gin-gonic/gin"
	"github.com/redis/go-redis/v9"

	"visit-counter/internal/redistest"
	"visit-counter/redisstore"
)

type address struct {
	Town string `json:"-"` // a field that encoding/json leaves out comes back as well
	Zip  uint32
}

type role int

type person struct {
	Name    string
	Role    role
	Weight  float64
	Address *address
	Tags    []string
	Any     any
	Born    time.Time
}

// celsius has an unexported field, and marshals itself.
type celsius struct{ degrees int }

func (c celsius) MarshalText() ([]byte, error) { return fmt.Appendf(nil, "%d°", c.degrees), nil }

func (c *celsius) UnmarshalText(text []byte) error {
	_, err := fmt.Sscanf(string(text), "%d°", &c.degrees)
	return err
}

func TestValuesComeBackAsTheyWereSet(t *testing.T) {
	when := time.Date(2026, 11, 21, 9, 18, 0, 5, time.UTC)
	known := redisstore.WithTypes(person{}, role(0), &celsius{}, new(big.Int))
	for _, test := range []struct {
		name        string
		in          any
		text, types string
	}{
		{"text", "Ann", `"Ann"`, ""},
		{"empty text", "", `""`, ""},
		{"text that looks like HTML", "<a&b>", `"<a&b>"`, ""},
		{"text with quotes, NUL and others", "\"\\\x00\n\u2028é😀\ufffd", `"\"\\\u0000\n\u2028é😀` + "\ufffd" + `"`, ""},
		{"text that looks like an escape", `\ufffd`, `"\\ufffd"`, ""},
		{"text that looks like a number", "12", `"12"`, ""},
		{"text that is not UTF-8", "\x1f\x8b\xff", `"H4v/"`, ";base64"},
		{"true", true, "true", ""},
		{"false", false, "false", ""},
		{"nil", nil, "null", ""},
		{"int", 42, "42", ""},
		{"zero", 0, "0", ""},
		{"negative", -42, "-42", ""},
		{"beyond 2^53", 1<<53 + 1, "9007199254740993", ""},
		{"int64 max", int64(math.MaxInt64), "9223372036854775807", "int64"},
		{"int64 min", int64(math.MinInt64), "-9223372036854775808", "int64"},
		{"int8", int8(-5), "-5", "int8"},
		{"uint", uint(5), "5", "uint"},
		{"uint64 max", uint64(math.MaxUint64), "18446744073709551615", "uint64"},
		{"big", new(big.Int).Lsh(big.NewInt(1), 70), `"1180591620717411303424"`, "*math/big.Int"},
		{"number with its digits", json.Number("1.10"), `"1.10"`, "json.Number"},
		{"float", 1.5, "1.5", ""},
		{"whole float", 2.0, "2.0", ""},
		{"whole negative float", -3.0, "-3.0", ""},
		{"large float", 1e300, "1e+300", ""},
		{"float32", float32(0.1), "0.1", "float32"},
		{"whole float32", float32(3), "3.0", "float32"},
		{"complex", 1 - 2i, `"(1-2i)"`, "complex128"},
		{"pointer", new(7), "7", "*int"},
		{"pointer to nil", new([]int(nil)), "[null]", "*[]int"},
		{"nil pointer", (*float64)(nil), "null", "*float64"},
		{"duration", time.Second, "1000000000", "time.Duration"},
		{"time", when, `"2026-11-21T09:18:00.000000005Z"`, "time.Time"},
		{"bytes", []byte{0, 1, 255}, `"AAH/"`, "[]uint8"},
		{"array of bytes", [3]byte{0, 1, 255}, `"AAH/"`, "[3]uint8"},
		{"slice", []int{1, 2}, "[1,2]", "[]int"},
		{"roles", []string{"admin", "\xff"}, `["admin","/w=="]`, `{"":"[]string","/1":";base64"}`},
		{"nil slice", []int(nil), "null", "[]int"},
		{"empty slice", []int{}, "[]", "[]int"},
		{"slice of anything", []any{"a", 1, nil}, `["a",1,null]`, ""},
		{"slice of many types", []any{int64(1), 1, when, []any{uint8(2)}}, `[1,1,"2026-11-21T09:18:00.000000005Z",[2]]`, `{"/0":"int64","/2":"time.Time","/3/0":"uint8"}`},
		{"nil slice of anything", []any(nil), "null", "[]any"},
		{"map", map[string]any{"b": 1, "a": []any{"x", nil}}, `{"a":["x",null],"b":1}`, ""},
		{"map with slashes", map[string]any{"a/b~": int64(1)}, `{"a/b~":1}`, `{"/a~1b~0":"int64"}`},
		{"map of numbers", map[string]int64{"a": 1}, `{"a":1}`, "map[string]int64"},
		{"map with numbers as keys", map[int]bool{7: true, -1: false}, `{"-1":false,"7":true}`, "map[int]bool"},
		{"map with other keys", map[float64]string{1.5: "a", 2: "b"}, `[[1.5,"a"],[2.0,"b"]]`, "map[float64]string"},
		{"map with any keys", map[any]any{1: "a", "b": int8(2)}, `[["b",2],[1,"a"]]`, `{"":"map[any]any","/0/1":"int8"}`},
		{"named number", role(3), "3", "visit-counter/internal/storetest_test.role"},
		{"what writes itself", celsius{21}, `"21°"`, "visit-counter/internal/storetest_test.celsius"},
		{
			"struct", person{Name: "Ann", Role: 2, Weight: 60, Address: &address{"Ulm", 89073}, Any: int64(5), Born: when},
			`{"Name":"Ann","Role":2,"Weight":60.0,"Address":{"Town":"Ulm","Zip":89073},"Tags":null,"Any":5,"Born":"2026-11-21T09:18:00.000000005Z"}`,
			`{"":"visit-counter/internal/storetest_test.person","/Any":"int64"}`,
		},
		{"flashes", []any{person{Name: "Ann"}, &person{Name: "Bob"}}, "", ""},
		{"pointers to structs", map[string]*person{"a": {Name: "Ann"}, "b": nil}, "", ""},
		{"slices of slices", [][]string{{"a"}, nil, {}}, `[["a"],null,[]]`, "[][]string"},
	} {
		t.Run(test.name, func(t *testing.T) {
			onBoth(t, func(t *testing.T, rdb *redis.Client) {
				s := newStore(t, rdb, known)
				b := &browser{t: t}
				b.set(s, "value", test.in)
				if test.text != "" {
					want(t, "text in Redis", rdb.HGet(t.Context(), b.key(), "value").Val(), test.text)
					want(t, "types in Redis", rdb.HGet(t.Context(), b.key(), "@type:value").Val(), test.types)
				}
				b.request(s, func(c *gin.Context) {
					if got := sessions.Default(c).Get("value"); !reflect.DeepEqual(got, test.in) {
						t.Errorf("loaded: %T %v, want %T %v", got, got, test.in, test.in)
					}
				})
				b.request(s, func(c *gin.Context) {
					must(t, visit(c))
					if got := sessions.Default(c).Get("value"); !reflect.DeepEqual(got, test.in) {
						t.Errorf("incremented: %T %v, want %T %v", got, got, test.in, test.in)
					}
				})
				b.set(s, "value", "another") // the type is replaced together with the value
				want(t, "types", rdb.HExists(t.Context(), b.key(), "@type:value").Val(), false)
				want(t, "value", b.get(s, "value"), any("another"))
			})
		})
	}
}

func TestATypeGoesWithItsField(t *testing.T) {
	onBoth(t, func(t *testing.T, rdb *redis.Client) {
		s := newStore(t, rdb)
		b := &browser{t: t}
		b.set(s, "n", 1)
		// One request sees a field without a type, and removes or sets it after another request has given it a type.
		for i, last := range []func(sessions.Session){
			func(session sessions.Session) { session.Delete("n") },
			func(session sessions.Session) { session.Set("n", "a text") },
		} {
			b.set(s, "n", 1+i)
			b.request(s, func(c *gin.Context) {
				last(sessions.Default(c))
				b.tab().set(s, "n", time.Second)
				must(t, sessions.Default(c).Save())
			})
			want(t, "types", rdb.HExists(t.Context(), b.key(), "@type:n").Val(), false)
		}
		want(t, "n", b.get(s, "n"), any("a text"))
		b.set(s, "n", int64(5))
		b.request(s, func(c *gin.Context) { _, err := redisstore.Default(c).Increment("n", 1); must(t, err) })
		want(t, "n, counted", b.get(s, "n"), any(int64(6)))
	})
}

func TestATimeOfAnyOffsetComesBackEqual(t *testing.T) {
	s := newStore(t, client(t, redistest.Start(t)))
	for _, offset := range []int{0, 1, 59, 90 * 60, 14 * 60 * 60, 24 * 60 * 60, 24*60*60 + 60, 30 * 60 * 60, 100 * 60 * 60} {
		for _, offset := range []int{offset, -offset} {
			b := &browser{t: t}
			when := time.Date(2026, 11, 21, 9, 18, 0, 5, time.FixedZone("there", offset))
			b.set(s, "when", when)
			if back, ok := b.get(s, "when").(time.Time); !ok || !back.Equal(when) {
				t.Errorf("%v came back as %v", when, back)
			}
		}
	}
}

type level uint8

func TestACounterThatOutgrowsItsTypeIsAnInt(t *testing.T) {
	onBoth(t, func(t *testing.T, rdb *redis.Client) {
		s := newStore(t, rdb, redisstore.WithTypes(level(0)))
		for _, test := range []struct {
			start      any
			by         int64
			fits, then any
		}{
			{uint(3), -2, uint(1), -1},
			{int8(125), 2, int8(127), 129},
			{level(250), 5, level(255), 260},
		} {
			b := &browser{t: t}
			b.set(s, "n", test.start, "name", "Ann")
			for _, value := range []any{test.fits, test.then} {
				b.request(s, func(c *gin.Context) {
					_, err := redisstore.Default(c).Increment("n", test.by)
					must(t, err)
					want(t, "n", sessions.Default(c).Get("n"), value)
				})
				want(t, "n in the next request", b.get(s, "n"), value)
				b.set(s, "name", "Bob")
			}
			want(t, "name", b.get(s, "name"), any("Bob"))
		}
	})
}

// As in a rolling deployment: only one version of the program knows the type.
func TestATypeThatIsNotKnownComesBackAsJSONAndStays(t *testing.T) {
	onBoth(t, func(t *testing.T, rdb *redis.Client) {
		young, old := newStore(t, rdb, redisstore.WithTypes(person{})), newStore(t, rdb)
		b := &browser{t: t}
		ann := person{Name: "Ann", Role: 2, Any: int64(5)}
		b.set(young, "user", ann)
		b.request(old, func(c *gin.Context) {
			user, _ := sessions.Default(c).Get("user").(map[string]any)
			want(t, "name", user["Name"], any("Ann"))
			want(t, "any", user["Any"], any(int64(5)))
			must(t, save(c, "other", 1))
		})
		b.visit(old)
		if got := b.get(young, "user"); !reflect.DeepEqual(got, ann) {
			t.Errorf("user = %v, want %v", got, ann)
		}
	})
}

type hidden struct{ secret string }

func TestWhatWouldNotComeBackIsRefused(t *testing.T) {
	cycle := map[string]any{}
	cycle["itself"] = cycle
	onBoth(t, func(t *testing.T, rdb *redis.Client) {
		s := newStore(t, rdb)
		for name, test := range map[string]struct {
			key, value any
			remedy     string // part of the error, besides the field
		}{
			"NaN":                      {"x", math.NaN(), "NaN"},
			"infinite":                 {"x", []any{math.Inf(1)}, "+Inf"},
			"channel":                  {"x", make(chan int), "chan int"},
			"function":                 {"x", func() {}, "func()"},
			"cycle":                    {"x", cycle, "contains itself"},
			"a type that is not known": {"x", []any{role(1)}, "storetest_test.role is not known to the store: name it in New, redisstore.WithTypes"},
			"a pointer to one":         {"x", &person{}, "WithTypes"},
			"a map of one":             {"x", map[string]person{}, "WithTypes"},
			"a struct without a name":  {"x", struct{ A int }{1}, "named type"},
			"raw JSON":                 {"x", json.RawMessage("{"), "WithTypes"},
			"a year of five digits":    {"x", time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC), "10000"},
			"number as a name":         {1, "x", "int"},
			"struct as a name":         {struct{}{}, "x", "struct {}"},
			"empty name":               {"", "x", "empty"},
			"reserved name":            {"@created", 1, "@"},
			"NUL in a name":            {"a\x00b", 1, "NUL"},
			"a name that is not UTF-8": {"\xff", 1, "UTF-8"},
		} {
			b := &browser{t: t}
			w := b.request(s, func(c *gin.Context) {
				err := save(c, test.key, test.value)
				wantError(t, err, redisstore.ErrInvalid)
				if err != nil && (!strings.Contains(err.Error(), test.remedy) || test.key == "x" && !strings.Contains(err.Error(), `field "x"`)) {
					t.Errorf("%s: the error is %q, without the field or %q", name, err, test.remedy)
				}
				_, err = redisstore.Default(c).Increment("visits", 1) // with the invalid value unsaved
				wantError(t, err, redisstore.ErrInvalid)
			})
			noCookie(t, w)
		}
		for _, counter := range []string{"", "@created", "a\x00b", "\xff"} {
			(&browser{t: t}).request(s, func(c *gin.Context) {
				_, err := redisstore.Default(c).Increment(counter, 1)
				wantError(t, err, redisstore.ErrInvalid)
				_, err = redisstore.Default(c).Increment("visits", 1, redisstore.And(counter, 1))
				wantError(t, err, redisstore.ErrInvalid)
			})
		}
		want(t, "sessions", len(sessionKeys(t, rdb)), 0)
	})
}

func TestTypesThatCannotBeKeptAreRefusedByNew(t *testing.T) {
	for name, test := range map[string]struct {
		value any
		said  string
	}{
		"nil":            {nil, "nil"},
		"hidden field":   {hidden{"x"}, "secret"},
		"a pointer":      {[]*hidden{}, "secret"},
		"a channel":      {struct{ C chan int }{}, "no name"},
		"a mutex inside": {struct{ M sync.Mutex }{}, "no name"},
	} {
		_, err := redisstore.New(unreachable(t), nil, redisstore.WithTypes(test.value))
		t.Run(name, func(t *testing.T) {
			wantError(t, err, redisstore.ErrInvalid)
			if err != nil && !strings.Contains(err.Error(), test.said) {
				t.Errorf("the error is %q, without %q", err, test.said)
			}
		})
	}
}

// The suite of gin-contrib/sessions proves the rest of Delete, Clear and Flashes.
func TestTwoSavesOfOneRequestAfterAClear(t *testing.T) {
	onBoth(t, func(t *testing.T, rdb *redis.Client) {
		s := newStore(t, rdb)
		b := &browser{t: t}
		b.set(s, "name", "Ann", "age", 30, "town", "Ulm")
		id := b.id()
		b.request(s, func(c *gin.Context) {
			session := sessions.Default(c)
			session.Clear()
			session.Set("age", 31)
			session.AddFlash(7, "numbers")
			must(t, session.Save())
			session.Set("name", "Bob")
			must(t, session.Save())
		})
		for name, value := range map[string]any{"age": 31, "name": "Bob", "town": nil} {
			want(t, name, b.get(s, name), value)
		}
		want(t, "flashes", fmt.Sprint(b.get(s, "numbers")), "[7]")
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

// Other programs may format the same JSON differently.
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
	want(t, "fields", len(fields), 4) // including one remembered number
	if use := rdb.MemoryUsage(t.Context(), "shop:session:"+b.id()).Val(); use > 600 {
		t.Errorf("a small session takes %d bytes of Redis", use)
	}
}
