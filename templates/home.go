package templates

import (
	"html/template"
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
	Router       string        // the header by which a router shows itself, masked by the caller: "X-Request-Id: 0a1b2c…"; empty without one
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

// homeSlots is Home in words, ready to be put into the page.
type homeSlots struct {
	Visits, Times, Size             template.HTML // 12, "times", "short"
	Ago, Uptime                     template.HTML // "3 minutes ago", "3 minutes"
	Seen, Here                      template.HTML // "This process has seen you 3 times", 3
	Sentence, Rows                  template.HTML // "4 instances and ...", the rows of the table
	Nodes, Height, Top, Bottom, Lit template.HTML // the picture's boxes, its height, ends of its upright lines, middle of its lit box
	ID, Key, Glob, Since, Lives     template.HTML // "abcdef…", "visits:session:abcdef…", "visits:session:abcdef*"
	Router, Command, Trips, Took    template.HTML // "X-Request-Id: 0a1b2c…", "EVALSHA ...", "1 round trip", "0.31 ms"
}

// rowSlots is a Row in words.
type rowSlots struct {
	Name, Date, Clock, Visits, Share template.HTML // "web.2", "2026-11-21", "09:18:00", 3, "33%"
}

// appendHome appends the whole page to dst.
func (p *Pages) appendHome(dst []byte, h Home) []byte {
	s := p.common.Settings
	here := h.seenHere()
	drawing := h.picture()
	id := mask(h.ID)
	date, clock := stamp(h.FirstVisit)
	v := homeSlots{
		Visits:   digits(h.Visits),
		Times:    text(plural(h.Visits, "time")),
		Size:     size(h.Visits),
		Ago:      text(ago(h.Now, s.Started)),
		Uptime:   text(span(h.Now.Sub(s.Started))),
		Seen:     text("This process has seen you " + count(here, "time")),
		Here:     digits(here),
		Sentence: text(h.sentence(s.Store)),
		Rows:     p.fillRows(h),
		Nodes:    p.fillNodes(drawing),
		Height:   text(drawing.Height),
		Top:      text(drawing.Top),
		Bottom:   text(drawing.Bottom),
		Lit:      text(drawing.Lit),
		ID:       text(id),
		Key:      text(s.KeyPrefix + "session:" + id),
		Glob:     text(s.KeyPrefix + "session:" + prefix(h.ID) + "*"),
		Router:   text(h.Router),
		Command:  text(h.RedisCommand),
		Trips:    text(count(int64(h.RoundTrips), "round trip")),
		Took:     text(milliseconds(h.RedisTime)),
		Since:    text(date + " " + clock + " UTC"),
		Lives:    text(span(h.ExpiresIn.Round(time.Second))),
	}
	return p.homes[variant{First: h.Visits == 1, New: h.New, Routed: h.Router != ""}].fill(dst, &v)
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

// fillRows makes the ledger's table: the folded visits first, because they are the oldest.
func (p *Pages) fillRows(h Home) template.HTML {
	most := h.Earlier
	for _, r := range h.Rows {
		most = max(most, r.Visits)
	}
	var dst []byte
	if h.Earlier > 0 {
		dst = p.rows["earlier"].fill(dst, &rowSlots{Visits: digits(h.Earlier), Share: share(h.Earlier, most)})
	}
	for _, r := range h.Rows {
		kind := "row"
		if r.Current {
			kind = "current"
		}
		date, clock := stamp(r.Started)
		dst = p.rows[kind].fill(dst, &rowSlots{
			Name:   breakable(r.Instance),
			Date:   text(date),
			Clock:  text(clock),
			Visits: digits(r.Visits),
			Share:  share(r.Visits, most),
		})
	}
	return template.HTML(dst)
}

// share is the length of a row's bar: "75%". A visit is always seen.
func share(part, whole int64) template.HTML {
	if whole <= 0 {
		return "0%"
	}
	return digits(max(100*part/whole, 1)) + "%"
}

// size names the class of a number that fits its place only in smaller figures.
func size(n int64) template.HTML {
	if n < 100_000 {
		return "short"
	}
	return "long"
}
