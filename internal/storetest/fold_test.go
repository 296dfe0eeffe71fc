package storetest_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/gin-gonic/gin"
	"github.com/redis/go-redis/v9"

	"visit-counter/internal/redistest"
	"visit-counter/redisstore"
)

const rows = 32

// ledger counts a visit of one process in a session with a row for each, and checks that the rows add up.
func ledger(t *testing.T, b *browser, s *redisstore.Store, process string) (counters map[string]int64) {
	t.Helper()
	b.request(s, func(c *gin.Context) {
		row := "row:" + process
		result, err := redisstore.Increment(c, "visits", 1,
			redisstore.And(row, 1), redisstore.Fold("row:", rows, "earlier", "folded"))
		if err != nil {
			t.Errorf("visit: %v", err)
			return
		}
		counters, err = result.Counters("")
		must(t, err)
		var sum, n int64
		for name, count := range counters {
			if strings.HasPrefix(name, "row:") {
				sum += count
				n++
			}
		}
		if sum+counters["earlier"] != counters["visits"] || result.Count != counters["visits"] {
			t.Errorf("rows %d + earlier %d, visits %d, count %d", sum, counters["earlier"], counters["visits"], result.Count)
		}
		if n > rows || counters[row] < 1 {
			t.Errorf("%d rows; the own one has %d", n, counters[row])
		}
	})
	return counters
}

func TestFoldKeepsTheLatestRowsAndEveryVisit(t *testing.T) {
	onBoth(t, func(t *testing.T, rdb *redis.Client) {
		s := newStore(t, rdb)
		b := &browser{t: t}
		const processes = 40
		var counters map[string]int64
		for p := range processes {
			for range 1 + p%3 {
				counters = ledger(t, b, s, fmt.Sprintf("%03d", p))
			}
		}
		want(t, "folded", counters["folded"], processes-32)
		want(t, "earlier", counters["earlier"], 1+2+3+1+2+3+1+2)
		for p := range processes {
			_, ok := counters[fmt.Sprintf("row:%03d", p)]
			want(t, fmt.Sprintf("row %d is there", p), ok, p >= processes-32)
		}
		// An old process that still serves is the first to be folded, but not by its own visit.
		counters = ledger(t, b, s, "000")
		want(t, "row 000", counters["row:000"], 1)
		_, ok := counters["row:008"]
		want(t, "row 008 is there", ok, false)
		counters = ledger(t, b, s, "000")
		want(t, "row 000", counters["row:000"], 2)
	})
}

func TestFoldUnderConcurrentVisitsOfManyProcesses(t *testing.T) {
	rdb := client(t, redistest.Start(t))
	s := newStore(t, rdb)
	b := &browser{t: t}
	b.set(s, "visits", 0)
	var wg sync.WaitGroup
	const processes, visits = 40, 20
	for p := range processes {
		wg.Go(func() {
			own := &browser{t: t, cookie: b.cookie}
			for range visits {
				ledger(t, own, s, fmt.Sprintf("%03d", p))
			}
		})
	}
	wg.Wait()
	counters := ledger(t, b, s, "last")
	want(t, "visits", counters["visits"], processes*visits+1)
}

func TestFoldRefusesWhatContradictsItself(t *testing.T) {
	s := newStore(t, redis.NewClient(&redis.Options{Addr: "127.0.0.1:1"}))
	for name, step := range map[string]redisstore.Step{
		"nil":                        nil,
		"no prefix":                  redisstore.Fold("", 1, "earlier", "folded"),
		"no sum":                     redisstore.Fold("row:", 1, "", "folded"),
		"no rows":                    redisstore.Fold("row:", 0, "earlier", "folded"),
		"the sum is a row":           redisstore.Fold("row:", 1, "row:earlier", "folded"),
		"the number is a row":        redisstore.Fold("row:", 1, "earlier", "row:folded"),
		"the sum is the number, too": redisstore.Fold("row:", 1, "earlier", "earlier"),
		"a reserved prefix":          redisstore.Fold("@", 1, "earlier", "folded"),
	} {
		send(s, nil, func(c *gin.Context) {
			_, err := redisstore.Increment(c, "visits", 1, step)
			t.Run(name, func(t *testing.T) { wantError(t, err, redisstore.ErrInvalid) })
		})
	}
}

func TestFoldOfDamagedRowsChangesNothing(t *testing.T) {
	onBoth(t, func(t *testing.T, rdb *redis.Client) {
		s := newStore(t, rdb)
		const most = 1<<53 - 1
		for _, test := range []struct {
			name, field string
			value       any
			want        error
		}{
			{"a row of text", "row:a", "x", redisstore.ErrCorrupt},
			{"a sum of text", "earlier", "x", redisstore.ErrCorrupt},
			{"a number of text", "folded", "x", redisstore.ErrCorrupt},
			{"a sum at its end", "earlier", most, redisstore.ErrOverflow},
		} {
			t.Run(test.name, func(t *testing.T) {
				b := &browser{t: t}
				b.set(s, "row:a", 1, "row:b", 1)
				b.set(s, test.field, test.value)
				b.request(s, func(c *gin.Context) {
					_, err := redisstore.Increment(c, "visits", 1, redisstore.And("row:c", 1),
						redisstore.Fold("row:", 2, "earlier", "folded"))
					wantError(t, err, test.want)
				})
				want(t, "visits", b.get(s, "visits"), nil)
				want(t, "row:b", b.get(s, "row:b"), any(1))
			})
		}
	})
}

func TestCountersTellsOfOnesThatAreNone(t *testing.T) {
	s := newStore(t, client(t, redistest.Start(t)))
	b := &browser{t: t}
	b.set(s, "row:a", "x", "name", "Ann")
	b.request(s, func(c *gin.Context) {
		result, err := redisstore.Increment(c, "visits", 1)
		must(t, err)
		_, err = result.Counters("row:")
		wantError(t, err, redisstore.ErrCorrupt)
		_, err = result.Counter("name")
		wantError(t, err, redisstore.ErrCorrupt)
		counters, err := result.Counters("visits")
		must(t, err)
		want(t, "visits", counters["visits"], 1)
	})
}
