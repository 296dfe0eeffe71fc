package backend_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"visit-counter/internal/backend"
	"visit-counter/internal/redistest"
)

func TestTimePassesInTheEmbeddedRedis(t *testing.T) {
	e, err := backend.StartEmbedded()
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	options, err := redis.ParseURL(e.URL())
	if err != nil {
		t.Fatal(err)
	}
	rdb := redis.NewClient(options)
	defer func() { _ = rdb.Close() }()
	ctx := t.Context()
	if err := errors.Join(
		rdb.Set(ctx, "short", "lived", 300*time.Millisecond).Err(),
		rdb.Set(ctx, "long", "lived", time.Hour).Err(),
	); err != nil {
		t.Fatal(err)
	}
	redistest.Wait(t, "a key to expire", func() bool { return errors.Is(rdb.Get(ctx, "short").Err(), redis.Nil) })
	if left := rdb.PTTL(ctx, "long").Val(); left <= 59*time.Minute || left >= time.Hour {
		t.Errorf("a TTL of one hour is %v a moment later", left)
	}
}

func TestEmbeddedRedisWantsItsPassword(t *testing.T) {
	e, err := backend.StartEmbedded()
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	options, err := redis.ParseURL(e.URL())
	if err != nil {
		t.Fatal(err)
	}
	options.Password = ""
	rdb := redis.NewClient(options)
	defer func() { _ = rdb.Close() }()
	if err := rdb.Ping(context.Background()).Err(); err == nil {
		t.Error("the embedded Redis answers without its password")
	}
}
