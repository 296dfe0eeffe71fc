package config

import (
	"os"
	"testing"

	"github.com/redis/go-redis/v9/logging"
)

// TestMain silences go-redis, which would print the errors that these tests provoke.
func TestMain(m *testing.M) {
	logging.Disable()
	os.Exit(m.Run())
}
