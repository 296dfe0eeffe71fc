package templates

import (
	"strconv"
	"time"

	"visit-counter/internal/config"
)

// Home is what one counted visit found out. The zero value of every field can be shown.
type Home struct {
	Now           time.Time     // when the visit was counted; "3 minutes ago" is reckoned from here
	Visits        int64         // the count, this visit included
	Rows          []Row         // the ledger, oldest start first; exactly one row is Current
	Earlier       int64         // visits of processes too old for a row of their own
	Instances     int           // how many names of instances have served this session
	Restarts      int           // how many of the processes had the name of an earlier one
	FirstVisit    time.Time     // when the session began
	ExpiresIn     time.Duration // how long the session lives without another visit
	New           bool          // true if the browser brought no session: this answer sets the cookie
	ID            string        // the session's id, masked by the caller: "k3Jd9a…"
	Router        string        // the header by which a router shows itself, masked by the caller: "X-Request-Id: 0a1b2c…"; empty without one
	RedisCommands []string      // the very commands that were sent, with the key and all values masked by the caller
	RoundTrips    int           // how many round trips to Redis the visit took
	RedisTime     time.Duration // how long they took together
}

// Row is one process that has served the session.
type Row struct {
	Instance string    // the name its instance had
	Started  time.Time // when the process started: a restart is another row of the same name
	Visits   int64     // how many visits of this session it counted
	Current  bool      // true for the process that answers now
}

// seenHere is what the process that answers would know without Redis.
func (h *Home) seenHere() int64 {
	for _, r := range h.Rows {
		if r.Current {
			return r.Visits
		}
	}
	return 0
}

// sentence says in words what the ledger proves.
func (h *Home) sentence(store config.Store) string {
	instances := count(int64(h.Instances), "instance")
	switch {
	case store == config.StoreMemory:
		return "Only this process knows of you, and no visit has been lost yet"
	case h.Restarts == 0:
		return instances + " so far, no restart yet, and no visit has been lost"
	}
	return instances + " and " + count(int64(h.Restarts), "restart") + " later, no visit has been lost"
}

// work says what the visit has made Redis do.
func (h *Home) work() string {
	begin, end := "load the session", "renew it for "
	if h.New {
		begin, end = "begin a session", "keep it for "
	}
	commands := count(int64(len(h.RedisCommands)), "command")
	if len(h.RedisCommands) > 1 { // the script or the shared secret was not known yet, or the way of a Cluster
		commands += ", one of which does the work"
	}
	return commands + ": " + begin + ", add 1 to visits and 1 to this process, " +
		end + h.lifetime()
}

// lifetime is how long the session lives without another visit.
func (h *Home) lifetime() string { return span(h.ExpiresIn.Round(time.Second)) }

// longestRow is the number of visits of the row with the longest bar.
func (h *Home) longestRow() int64 {
	longest := h.Earlier
	for _, r := range h.Rows {
		longest = max(longest, r.Visits)
	}
	return longest
}

// share is the length of a row's bar: "75%". It is never 0, so that a single visit can be seen.
func share(part, total int64) string {
	if total <= 0 {
		return "0%"
	}
	return strconv.FormatInt(max(100*part/total, 1), 10) + "%"
}
