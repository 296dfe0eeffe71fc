package config

import (
	"strings"
	"testing"
)

func TestDokkuIsNotHerokuThoughItSetsDYNO(t *testing.T) {
	c := load(t, environment(map[string]string{"DYNO": "web.1", "DOKKU_APP_TYPE": "herokuish", "REDIS_URL": "rediss://:pw@redis:6379"}, nil))
	if c.Platform != Local || c.Secure || c.Cookie() != "session" {
		t.Errorf("platform %s, secure %t, cookie %s; want plain http", c.Platform, c.Secure, c.Cookie())
	}
	if !c.Redis.Verified() || len(c.Warnings) > 0 {
		t.Errorf("certificate verified: %t, warnings %q; want true and none", c.Redis.Verified(), c.Warnings)
	}
	if c.Instance != "web.1" {
		t.Errorf("instance is %q; want the name that Dokku gives", c.Instance)
	}
}

func TestAHerokuRedisNamedAfterAColourIsUsedIfItIsTheOnlyOne(t *testing.T) {
	for _, name := range []string{"HEROKU_REDIS_AMBER_URL", "HEROKU_REDIS_JADE_URL"} {
		t.Setenv(name, "the name alone makes Load ask")
	}
	values := map[string]string{"DYNO": "web.1", "HEROKU_REDIS_AMBER_URL": "rediss://:hunter2@amber:6380"}
	c := load(t, environment(values, nil))
	if c.Redis.Source != "HEROKU_REDIS_AMBER_URL" || c.Redis.Options.Addrs[0] != "amber:6380" || c.Redis.Verified() {
		t.Errorf("found %q from %q, verified %t; want Heroku's own, whose certificate cannot be verified", c.Redis.Address(), c.Redis.Source, c.Redis.Verified())
	}

	values["REDISCLOUD_URL"] = "redis://cloud:1"
	if c := load(t, environment(values, nil)); c.Redis.Source != "REDISCLOUD_URL" {
		t.Errorf("source is %q; want the variable that belongs to the app", c.Redis.Source)
	}

	delete(values, "REDISCLOUD_URL")
	values["HEROKU_REDIS_JADE_URL"] = "rediss://:hunter2@jade:6380"
	_, err := environment(values, nil).load()
	if err == nil || !strings.HasPrefix(err.Error(), "HEROKU_REDIS_AMBER_URL: ") || !strings.Contains(err.Error(), "HEROKU_REDIS_JADE_URL") ||
		!strings.Contains(err.Error(), "heroku redis:promote") || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("error is %v; want both names and what to do, without an address", err)
	}

	delete(values, "DYNO")
	if c := load(t, environment(values, nil)); c.Redis.Options != nil {
		t.Errorf("found %q off Heroku", c.Redis.Source)
	}
}
