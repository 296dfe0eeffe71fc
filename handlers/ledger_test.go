package handlers

import (
	"errors"
	"slices"
	"testing"
	"time"

	"visit-counter/redisstore"
	"visit-counter/templates"
)

func TestRowsSortByTheStartOfTheirProcess(t *testing.T) {
	started := time.Date(2026, 11, 21, 9, 18, 0, 5e6, time.FixedZone("", 3600))
	names := []string{
		rowName(started.Add(time.Second), "a"),
		rowName(started, "web.2 (blue)"),
		rowName(started.Add(-time.Hour), "z"),
	}
	slices.Sort(names)
	for i, want := range []string{"z", "web.2 (blue)", "a"} {
		at, instance, err := parseRow(names[i])
		if err != nil || instance != want {
			t.Errorf("row %d is %q's (%v), want %q's", i, instance, err, want)
		}
		if want == "web.2 (blue)" && !at.Equal(started) {
			t.Errorf("a row says %v, but its process started at %v", at, started)
		}
	}
	for _, damaged := range []string{"process:", "process:yesterday web.1", "process:2026-11-21T09:18:00.000Z"} {
		if _, _, err := parseRow(damaged); !errors.Is(err, redisstore.ErrCorrupt) {
			t.Errorf("parseRow(%q) = %v, want ErrCorrupt", damaged, err)
		}
	}
}

func TestLedgerAddsUp(t *testing.T) {
	start := time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC)
	row := func(minute int, visits int64, current bool) templates.Row {
		return templates.Row{Instance: "web", Started: start.Add(time.Duration(minute) * time.Minute), Visits: visits, Current: current}
	}
	for _, test := range []struct {
		name   string
		visits int64
		rows   []templates.Row
		want   []int64 // visits of the rows, then the earlier ones
	}{
		{"as it is stored", 12, []templates.Row{row(1, 7, false), row(2, 3, true)}, []int64{7, 3, 2}},
		{"visits without a row are earlier ones", 20, []templates.Row{row(1, 7, false), row(2, 3, true)}, []int64{7, 3, 10}},
		{"later visits come off the newest rows of others", 9,
			[]templates.Row{row(1, 7, false), row(2, 3, false), row(3, 1, true)}, []int64{7, 1, 1, 0}},
		{"a row that had no visit yet is left out", 8,
			[]templates.Row{row(1, 7, false), row(2, 3, false), row(3, 1, true)}, []int64{7, 1, 0}},
		{"the process that answers keeps its row", 1, []templates.Row{row(1, 7, false), row(2, 1, true)}, []int64{1, 0}},
	} {
		t.Run(test.name, func(t *testing.T) {
			l := ledger{rows: test.rows}
			if err := l.balance(test.visits); err != nil {
				t.Fatal(err)
			}
			var got []int64
			sum := l.earlier
			for _, row := range l.rows {
				got = append(got, row.Visits)
				sum += row.Visits
			}
			if got = append(got, l.earlier); !slices.Equal(got, test.want) {
				t.Errorf("rows and earlier = %v, want %v", got, test.want)
			}
			if sum != test.visits {
				t.Errorf("the ledger has %d visits, but the count is %d", sum, test.visits)
			}
		})
	}
}
