package storetest_test

import (
	"testing"

	"github.com/gin-contrib/sessions"
	"github.com/gin-contrib/sessions/tester"
	"github.com/redis/go-redis/v9"
)

func TestPassesTheSuiteOfGinContribSessions(t *testing.T) {
	onBoth(t, func(t *testing.T, rdb *redis.Client) {
		store := func(t *testing.T) sessions.Store { return newStore(t, rdb) }
		t.Run("GetSet", func(t *testing.T) { tester.GetSet(t, store) })
		t.Run("DeleteKey", func(t *testing.T) { tester.DeleteKey(t, store) })
		t.Run("Flashes", func(t *testing.T) { tester.Flashes(t, store) })
		t.Run("Clear", func(t *testing.T) { tester.Clear(t, store) })
		t.Run("Options", func(t *testing.T) { tester.Options(t, store) })
		t.Run("Many", func(t *testing.T) { tester.Many(t, store) })
	})
}
