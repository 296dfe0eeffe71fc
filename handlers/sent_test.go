package handlers_test

import (
	"html"
	"log/slog"
	"regexp"
	"strings"
	"testing"
	"time"

	"visit-counter/internal/backend"
	"visit-counter/internal/config"
)

func TestThePageShowsTheCommandsOfTheVisit(t *testing.T) {
	b, err := backend.Open(t.Context(), config.Config{Store: config.StoreMemory}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	routes := process(t, b.Client, "web 1", time.Now())
	v := visitor{t: t}
	shown := func() string {
		return html.UnescapeString(regexp.MustCompile(`<[^>]*>`).ReplaceAllString(v.get(routes, "text/html"), ""))
	}
	wants := func(page string, parts ...string) {
		t.Helper()
		rest := page
		for _, part := range parts {
			_, after, ok := strings.Cut(rest, part)
			if !ok {
				t.Errorf("the page does not show %q in the order of %q:\n%s", part, parts, page)
				return
			}
			rest = after
		}
	}

	// The first visit also sets up the shared secret, and Redis does not know the script yet.
	wants(shown(), "4 commands, one of which does the work: begin a session", " 4 round trips, ", "GET gin:… ", "EVALSHA ", "… 1 gin:session:", "EVAL … 1 gin:session:", "visits 1 ", ` web 1" 1`)
	second := shown()
	wants(second, "1 command: load the session", " 1 round trip, ", "EVALSHA ", "… 1 gin:session:", "visits 1 ", ` web 1" 1`)
	if strings.Contains(second, "EVAL …") || strings.Contains(second, " 0.00 ms") {
		t.Errorf("the page shows a command that was not sent, or no time: %s", second)
	}
	answer := v.get(routes, "application/json")
	if !strings.Contains(answer, `"redis":{"round_trips":1,"milliseconds":`) || strings.Contains(answer, `"milliseconds":0}`) {
		t.Error(answer)
	}

	if err := b.Client.ScriptFlush(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	wants(shown(), " 2 round trips, ", "EVALSHA ", "EVAL … 1 gin:session:")
}
