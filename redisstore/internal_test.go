package redisstore

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	gsessions "github.com/gorilla/sessions"

	"visit-counter/internal/redisserver"
	"visit-counter/internal/redistest"
)

func emptySession() *gsessions.Session { return gsessions.NewSession(nil, "session") }

func TestSlotsAreThoseOfRedis(t *testing.T) {
	rdb := redistest.Client(t, redistest.StartWith(t, redisserver.Options{Config: []string{"cluster-enabled yes"}}))
	names := []string{"", "a", "123456789", "{", "}", "{}", "{}a", "a{b}c", "a{b}{c}", "{{a}}", "a{", "a}{b}", "é\x00\xff"}
	for range 50 {
		names = append(names, "gin:session:"+newID())
	}
	for _, name := range names {
		want, err := rdb.ClusterKeySlot(t.Context(), name).Result()
		if err != nil {
			t.Fatal(err)
		}
		if got := slot(name); int64(got) != want {
			t.Errorf("slot(%q) = %d, want %d", name, got, want)
		}
	}
}

func TestTheFloorNeverPassesAnOpenNumber(t *testing.T) {
	var f inflight
	begin := func(id string) (number, floor uint64) {
		t.Helper()
		number, floor, err := f.begin(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		return number, floor
	}
	first, floor := begin("a")
	if floor != first {
		t.Errorf("floor of the first = %d, want %d", floor, first)
	}
	second, floor := begin("a")
	if second <= first || floor != first {
		t.Errorf("second = %d with the floor %d, want a number above and the floor %d", second, floor, first)
	}
	other, floor := begin("b")
	if floor != other {
		t.Errorf("floor of another session = %d, want %d", floor, other)
	}
	f.end("a", first)
	third, floor := begin("a")
	if floor != second {
		t.Errorf("floor after the first is settled = %d, want %d", floor, second)
	}
	f.end("a", third)
	f.end("a", second)
	f.end("b", other)
	if len(f.sessions) != 0 {
		t.Errorf("%d sessions are remembered when nothing is under way", len(f.sessions))
	}
}

func TestIncrementsOfOneSessionTakeTurns(t *testing.T) {
	var f inflight
	var open []uint64
	for range mostOpen {
		number, _, err := f.begin(t.Context(), "a")
		if err != nil {
			t.Fatal(err)
		}
		open = append(open, number)
	}
	var turns [3]*turn
	for i := range turns {
		if _, _, turns[i] = f.enter("a"); turns[i] == nil {
			t.Fatalf("number %d is under way at once", mostOpen+i+1)
		}
	}
	if number, _, err := f.begin(t.Context(), "b"); err != nil || number != mostOpen+1 {
		t.Errorf("another session = %d, %v; want no wait", number, err)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := f.begin(gone, "a"); !errors.Is(err, context.Canceled) {
		t.Errorf("begin without time = %v, want the context's error", err)
	}
	f.leave("a", turns[1])
	f.end("a", open[0])
	<-turns[0].come
	if turns[0].floor != open[1] {
		t.Errorf("floor of the next = %d, want %d", turns[0].floor, open[1])
	}
	f.leave("a", turns[0]) // its turn has come, and is the next one's
	<-turns[2].come
	for _, number := range append(open[1:], turns[2].number) {
		f.end("a", number)
	}
	f.end("b", mostOpen+1)
	if len(f.sessions) != 0 {
		t.Errorf("%d sessions are remembered when nothing is under way", len(f.sessions))
	}
}

func TestManySessionsAtOnceLeaveNothingBehind(t *testing.T) {
	var f inflight
	var wg sync.WaitGroup
	for i := range 64 {
		wg.Go(func() {
			id := fmt.Sprint(i % 7)
			for n := range 500 {
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(n%3)*50*time.Microsecond)
				number, floor, err := f.begin(ctx, id)
				cancel()
				if err != nil {
					continue
				}
				if floor > number {
					t.Errorf("number %d has the floor %d", number, floor)
				}
				f.end(id, number)
			}
		})
	}
	wg.Wait()
	if len(f.sessions) != 0 || f.last == 0 {
		t.Errorf("%d sessions are remembered, the last number is %d", len(f.sessions), f.last)
	}
}
