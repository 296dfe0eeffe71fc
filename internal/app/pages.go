package app

import (
	"time"

	"visit-counter/internal/backend"
	"visit-counter/internal/config"
	"visit-counter/templates"
)

// settings says on the page what does not change while the process runs.
func settings(cfg config.Config, b *backend.Backend, started time.Time) templates.Settings {
	return templates.Settings{
		Instance: cfg.Instance, Started: started, Store: b.Store,
		RedisSource: b.Redis.Source, RedisAddress: b.Redis.Address(), Unverified: b.Redis.TLS() && !b.Redis.Verified(),
		RedisCLI: redisCLI(b), KeyPrefix: cfg.KeyPrefix, CookieName: cfg.Cookie(),
		DemoControls: cfg.DemoControls, Platform: cfg.Platform, AppName: cfg.AppName,
	}
}

// redisCLI returns the command with which the page invites people to look at Redis. An embedded Redis cannot be looked at.
func redisCLI(b *backend.Backend) string {
	if b.Store == config.StoreMemory {
		return ""
	}
	return b.Redis.CLI()
}
