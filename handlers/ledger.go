package handlers

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gin-contrib/sessions"

	"visit-counter/redisstore"
	"visit-counter/templates"
)

const (
	// rowPrefix begins the field that a session has for each process that has served it. The start time comes next, so
	// that the names sort by it.
	rowPrefix     = "process:"
	rowTimeLayout = "2006-01-02T15:04:05.000Z"
	// earlierProcessField is the session's field that says how many processes have no row any more.
	earlierProcessField = "earlier_processes"
	// maxRows is how many processes keep a row of their own.
	maxRows = 32
	// maxVisits is the largest count: up to it, every JSON parser reads whole numbers exactly.
	maxVisits = 1<<53 - 1
)

// rowName returns the session's field in which the process counts its visits.
func rowName(started time.Time, instance string) string {
	return rowPrefix + started.UTC().Format(rowTimeLayout) + " " + instance
}

// parseRow is the reverse of rowName.
func parseRow(name string) (started time.Time, instance string, err error) {
	at, instance, ok := strings.Cut(strings.TrimPrefix(name, rowPrefix), " ")
	if ok {
		started, err = time.Parse(rowTimeLayout, at)
	}
	if !ok || err != nil {
		return time.Time{}, "", fmt.Errorf("%w: a row of the ledger has no time", redisstore.ErrCorrupt)
	}
	return started, instance, nil
}

// ledger says which processes have served a session. Its visits add up to the session's.
type ledger struct {
	rows      []templates.Row // by start
	earlier   int64           // visits of processes that have no row any more
	trimmed   int64           // how many processes those are
	instances int             // how many names the rows have
	restarts  int             // how many processes took the name of an earlier one
}

// newLedger reads the ledger out of a counted visit; current is the field of this process. It is an ErrCorrupt if
// it cannot be one.
func newLedger(result redisstore.Result, current string) (ledger, error) {
	rows, err := result.Counters(rowPrefix)
	if err != nil {
		return ledger{}, err
	}
	earlier, err := result.Counters(earlierProcessField)
	if err != nil {
		return ledger{}, err
	}
	l := ledger{trimmed: earlier[earlierProcessField]}
	if result.Count < 1 || impossible(l.trimmed) {
		return ledger{}, fmt.Errorf("%w: a count is impossible", redisstore.ErrCorrupt)
	}
	if l.rows, err = parseRows(rows, current); err != nil {
		return ledger{}, err
	}
	if err := l.balance(result.Count); err != nil {
		return ledger{}, err
	}
	names := make(map[string]bool, len(l.rows))
	for _, row := range l.rows {
		names[row.Instance] = true
	}
	l.instances = len(names)
	l.restarts = len(l.rows) + int(l.trimmed) - l.instances
	return l, nil
}

// trim removes the oldest rows from the ledger and the session if there are too many, but never this process's. Their
// visits then count as earlier ones, which have no row.
func (l *ledger) trim(session sessions.Session) {
	excess := len(l.rows) - maxRows
	if excess <= 0 {
		return
	}
	l.rows = slices.DeleteFunc(l.rows, func(row templates.Row) bool {
		if row.Current || excess == 0 {
			return false
		}
		session.Delete(rowName(row.Started, row.Instance))
		l.earlier += row.Visits
		l.trimmed++
		excess--
		return true
	})
	session.Set(earlierProcessField, int(l.trimmed))
	_ = session.Save() // the visit has been counted; if this fails, the next visit trims
}

func impossible(n int64) bool { return n < 0 || n > maxVisits }

// parseRows returns the rows of the ledger, by start.
func parseRows(fields map[string]int64, current string) ([]templates.Row, error) {
	rows := make([]templates.Row, 0, len(fields))
	for name, visits := range fields {
		started, instance, err := parseRow(name)
		if err != nil {
			return nil, err
		}
		if visits == 0 || impossible(visits) {
			return nil, fmt.Errorf("%w: a row of the ledger has an impossible number of visits", redisstore.ErrCorrupt)
		}
		rows = append(rows, templates.Row{Instance: instance, Started: started, Visits: visits, Current: name == current})
	}
	slices.SortFunc(rows, func(a, b templates.Row) int {
		return cmp.Or(a.Started.Compare(b.Started), strings.Compare(a.Instance, b.Instance))
	})
	return rows, nil
}

// balance makes the rows add up to the visits. Visits that no row has are earlier ones. The rows can exceed the visits in
// one case only: an increment that was repeated, because its answer got lost, returns its own count, but rows to which
// others have added since. balance takes those later visits off the other processes' rows, newest first. If that is not
// enough, the ledger is an ErrCorrupt.
func (l *ledger) balance(visits int64) error {
	surplus := -visits
	for _, row := range l.rows {
		surplus += row.Visits
		if surplus > maxVisits {
			return fmt.Errorf("%w: the ledger has more visits than can be", redisstore.ErrCorrupt)
		}
	}
	if surplus < 0 {
		l.earlier = -surplus
		return nil
	}
	for i := len(l.rows) - 1; i >= 0 && surplus > 0; i-- {
		if row := &l.rows[i]; !row.Current {
			off := min(surplus, row.Visits)
			row.Visits, surplus = row.Visits-off, surplus-off
		}
	}
	if surplus > 0 {
		return fmt.Errorf("%w: this process's row of the ledger has more visits than there are", redisstore.ErrCorrupt)
	}
	l.rows = slices.DeleteFunc(l.rows, func(row templates.Row) bool { return row.Visits == 0 && !row.Current })
	return nil
}
