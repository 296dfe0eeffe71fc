package app

import (
	"log/slog"
	"testing"
	"time"
)

func TestAnAnswerMayBeWrittenAfterTheLongestWaitForRedis(t *testing.T) {
	for _, timeout := range []time.Duration{10 * time.Millisecond, 10 * time.Second} {
		if got := newServer(nil, timeout, slog.New(slog.DiscardHandler)).WriteTimeout; got < timeout+5*time.Second {
			t.Errorf("REDIS_TIMEOUT=%s: the write timeout is %s, which leaves less than 5s for the answer", timeout, got)
		}
	}
}
