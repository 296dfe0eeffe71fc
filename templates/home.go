package templates

import (
	"strconv"
	"time"
)

// Home is what one counted visit found out. The zero value of every field can be shown.
type Home struct {
	Now          time.Time     // when the visit was counted; "3 minutes ago" is reckoned from here
	Visits       int64         // the count, this visit included
	Rows         []Row         // the ledger, oldest start first; exactly one row is Current
	Earlier      int64         // visits of processes too old for a row of their own
	Instances    int           // how many names of instances have served this session
	Restarts     int           // how many of the processes had the name of an earlier one
	FirstVisit   time.Time     // when the session began
	ExpiresIn    time.Duration // how long the session lives if nobody comes back
	New          bool          // true if the browser brought no session: this answer sets the cookie
	ID           string        // the session's id; at most its first 6 characters are shown
	Via          string        // the router's header as it came, "Via: 1.1 vegur"; empty without a router
	RedisCommand string        // the very command that was sent, with the key and all values masked by the caller
	RoundTrips   int           // how many round trips to Redis the visit took
	RedisTime    time.Duration // how long they took together
}

// Row is one process that has served the session.
type Row struct {
	Instance string    // the name its instance had
	Started  time.Time // when the process started: a restart is another row of the same name
	Visits   int64     // how many visits of this session it counted
	Current  bool      // true for the process that answers now
}

// homeView is Home in words. The template only puts them in their places: a field costs less than a method, and words
// are easier to test in Go.
type homeView struct {
	frame
	Settings
	Home
	Times     string // "times"
	Seen      string // "This process has seen you 3 times"
	Here      int64  // 3
	Uptime    string // "3 minutes"
	StartedAt string // "started 3 minutes ago"
	Sentence  string // "4 instances and 3 restarts later, no visit has been lost"
	InMemory  bool
	First     bool
	Ledger    []rowView
	Picture   picture
	ID        string // "abcdef…"
	Key       string // "visits:session:abcdef…"
	KeyGlob   string // "visits:session:abcdef*"
	Lives     string // "24 hours"
	Took      string // "0.31 ms"
	Trips     string // "1 round trip"
	Since     string // "2026-11-21 09:18:00Z"
}

type rowView struct {
	Instance string
	Started  string
	Visits   int64
	Share    string // of the largest row, in percent: "75%"
	Current  bool
}

func (p *Pages) homeView(h Home) homeView {
	here := h.seenHere()
	id := mask(h.ID)
	return homeView{
		frame:     p.frame,
		Settings:  p.settings,
		Home:      h,
		Times:     plural(h.Visits, "time"),
		Seen:      "This process has seen you " + count(here, "time"),
		Here:      here,
		Uptime:    span(h.Now.Sub(p.settings.Started)),
		StartedAt: "started " + ago(h.Now, p.settings.Started),
		Sentence:  h.sentence(p.settings.Store),
		InMemory:  p.settings.Store == Memory,
		First:     h.Visits == 1,
		Ledger:    h.ledger(),
		Picture:   h.picture(),
		ID:        id,
		Key:       p.settings.KeyPrefix + "session:" + id,
		KeyGlob:   p.settings.KeyPrefix + "session:" + prefix(h.ID) + "*",
		Lives:     span(h.ExpiresIn),
		Took:      milliseconds(h.RedisTime),
		Trips:     count(int64(h.RoundTrips), "round trip"),
		Since:     stamp(h.FirstVisit),
	}
}

// seenHere is what the process that answers would know without Redis.
func (h Home) seenHere() int64 {
	for _, r := range h.Rows {
		if r.Current {
			return r.Visits
		}
	}
	return 0
}

// sentence says in words what the ledger proves. A process with its own memory cannot know what others have lost.
func (h Home) sentence(store Store) string {
	s := count(int64(h.Instances), "instance") + " and " + count(int64(h.Restarts), "restart") +
		" later, no visit has been lost"
	if store == Memory {
		s += " that this process knows of"
	}
	return s
}

func (h Home) ledger() []rowView {
	most := h.Earlier
	for _, r := range h.Rows {
		most = max(most, r.Visits)
	}
	rows := make([]rowView, 0, len(h.Rows)+1)
	if h.Earlier > 0 {
		rows = append(rows, rowView{Instance: "earlier", Visits: h.Earlier, Share: percent(h.Earlier, most)})
	}
	for _, r := range h.Rows {
		rows = append(rows, rowView{
			Instance: r.Instance,
			Started:  stamp(r.Started),
			Visits:   r.Visits,
			Share:    percent(r.Visits, most),
			Current:  r.Current,
		})
	}
	return rows
}

func percent(part, whole int64) string {
	if whole <= 0 {
		return "0%"
	}
	return strconv.FormatInt(100*part/whole, 10) + "%"
}
