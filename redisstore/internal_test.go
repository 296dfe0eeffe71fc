package redisstore

import (
	"fmt"
	"sync"
	"testing"

	gsessions "github.com/gorilla/sessions"

	"visit-counter/internal/redistest"
)

func emptySession() *gsessions.Session { return gsessions.NewSession(nil, "session") }

func TestSlotsAreThoseOfRedis(t *testing.T) {
	rdb := redistest.Client(t, redistest.Start(t, redistest.Config("cluster-enabled yes")))
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
	first, floor := f.begin("a")
	if floor != first {
		t.Errorf("floor of the first = %d, want %d", floor, first)
	}
	second, floor := f.begin("a")
	if second <= first || floor != first {
		t.Errorf("second = %d with the floor %d, want a number above and the floor %d", second, floor, first)
	}
	other, floor := f.begin("b")
	if floor != other {
		t.Errorf("floor of another session = %d, want %d", floor, other)
	}
	f.end("a", first)
	third, floor := f.begin("a")
	if floor != second {
		t.Errorf("floor after the first is settled = %d, want %d", floor, second)
	}
	for _, number := range []uint64{third, third, second} { // twice is no harm
		f.end("a", number)
	}
	f.end("b", other)
	f.end("never there", 1)
	if len(f.open) != 0 {
		t.Errorf("%d sessions are remembered when nothing is under way", len(f.open))
	}
}

func TestManySessionsAtOnceLeaveNothingBehind(t *testing.T) {
	var f inflight
	var wg sync.WaitGroup
	for i := range 64 {
		wg.Go(func() {
			for range 500 {
				id := fmt.Sprint(i % 7)
				number, floor := f.begin(id)
				if floor > number {
					t.Errorf("number %d has the floor %d", number, floor)
				}
				f.end(id, number)
			}
		})
	}
	wg.Wait()
	if len(f.open) != 0 || f.last != 64*500 {
		t.Errorf("%d sessions are remembered, the last number is %d", len(f.open), f.last)
	}
}
