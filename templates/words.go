package templates

import (
	"context"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/a-h/templ"
)

// count joins a number and a noun: "1 visit", "2 visits", "0 visits".
func count(n int64, noun string) string {
	return strconv.FormatInt(n, 10) + " " + plural(n, noun)
}

// plural is the form of a noun that goes with a number.
func plural(n int64, noun string) string {
	if n == 1 {
		return noun
	}
	return noun + "s"
}

// span says a duration in its largest whole unit: "12 seconds", "1 minute", "24 hours", "3 days". Two days and more
// are days, so that a day is "24 hours".
func span(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d < time.Minute:
		return count(int64(max(d, 0)/time.Second), "second")
	case d < time.Hour:
		return count(int64(d/time.Minute), "minute")
	case d < 2*day:
		return count(int64(d/time.Hour), "hour")
	}
	return count(int64(d/day), "day")
}

// uptime says how long a process has been running.
func uptime(d time.Duration) string {
	if d < time.Second {
		return "just started"
	}
	return "up for " + span(d)
}

// ago says how long before now something was. Clocks of two machines differ, so the future is "just now" too.
func ago(now, then time.Time) string {
	d := now.Sub(then)
	if d < time.Second {
		return "just now"
	}
	return span(d) + " ago"
}

// stamp is the date and the time of day of a moment, in UTC: "2026-11-21" and "09:18:00".
func stamp(t time.Time) (date, clock string) {
	both := t.UTC().Format(time.DateTime)
	return both[:len(time.DateOnly)], both[len(time.DateOnly)+1:]
}

// milliseconds is a duration with two decimals: "0.31 ms".
func milliseconds(d time.Duration) string {
	return strconv.FormatFloat(float64(d)/float64(time.Millisecond), 'f', 2, 64) + " ms"
}

// markup is HTML that is written as it is: a component that costs nothing else. A value in braces goes through fmt, which
// is 100 ns and two allocations each, so those in the loops of a page are text or breakable.
type markup string

// Render implements [templ.Component].
func (m markup) Render(_ context.Context, w io.Writer) error {
	_, err := io.WriteString(w, string(m))
	return err
}

// text is any string, escaped.
func text(s string) markup { return markup(templ.EscapeString(s)) }

// command is a command to be typed, in which a line never ends inside "--option", but may end after the equals sign of
// a word that is too long for a narrow screen.
func command(s string) markup {
	const narrow = 24
	words := strings.Split(s, " ")
	for i, word := range words {
		long := utf8.RuneCountInString(word) > narrow
		word = templ.EscapeString(word)
		if long {
			word = strings.Replace(word, "=", "=<wbr>", 1)
		}
		if strings.HasPrefix(word, "--") {
			word = "<span>" + word + "</span>"
		}
		words[i] = word
	}
	return markup(strings.Join(words, " "))
}

// breakable is a name in which a line may end after a dot or a colon, if it is too long for a narrow table.
func breakable(name string) markup {
	const narrow = 16
	escaped := templ.EscapeString(name)
	if utf8.RuneCountInString(name) > narrow {
		escaped = strings.NewReplacer(".", ".<wbr>", ":", ":<wbr>").Replace(escaped)
	}
	return markup(escaped)
}
