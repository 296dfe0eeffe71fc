package backend

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"visit-counter/internal/config"
)

func TestMemorySaysHowToKeepSessionsInstead(t *testing.T) {
	const unset = "unset SESSION_STORE=memory"
	for store, want := range map[config.Store]string{config.StoreAuto: "start a redis-server, or set REDIS_URL", config.StoreMemory: unset} {
		var log bytes.Buffer
		b, err := openEmbedded(config.Config{Store: store}, slog.New(slog.NewJSONHandler(&log, nil)))
		if err != nil {
			t.Fatal(err)
		}
		b.Close()
		if !strings.Contains(log.String(), "IN MEMORY ONLY") || !strings.Contains(log.String(), want) {
			t.Errorf("SESSION_STORE=%s: the log does not say %q: %s", store, want, log.String())
		}
		if store != config.StoreMemory && strings.Contains(log.String(), unset) {
			t.Errorf("SESSION_STORE=%s: the log says to unset a variable that is not set: %s", store, log.String())
		}
	}
}
