package config

import (
	"slices"
	"strings"
)

// candidate is one configured Redis: where to dial, and as which user.
type candidate struct {
	Redis
	ca      string   // PEM of a CA to trust in addition to the system's
	ignored []string // names of valid options that have no effect
	heroku  bool     // the address comes from Heroku's own variable
}

// findRedis sets c.Redis to the first configured Redis, and settles c.Store, which holds the value of SESSION_STORE so far.
func (l *loader) findRedis(c *Config) {
	cluster := setting(l, "REDIS_CLUSTER", false, boolean)
	roots := setting(l, "REDIS_TLS_CA", nil, authorities)
	verify := setting(l, "REDIS_TLS_VERIFY", nil, func(text string) (*bool, error) {
		value, err := boolean(text)
		return &value, err
	})
	found := l.candidates()
	switch {
	case c.Store == StoreMemory:
	case len(found) > 0:
		used := found[0]
		l.warnIgnored(used, found[1:])
		l.applyCluster(used, cluster)
		l.secure(used, roots, verify)
		c.Store, c.Redis = StoreRedis, c.limit(used.Redis)
	case c.Platform != Local:
		c.Store = StoreNone
	case c.Store == StoreRedis:
		c.Redis = c.RedisAt(LocalRedis, "SESSION_STORE=redis, default address")
	}
}

// place is where variables are looked for: the process environment, or .env.
type place struct {
	get    func(name string) string
	suffix string // follows the variable's name in messages
}

// candidates returns every configured Redis in order of precedence: a binding, then the variables, then the same from
// .env. If there is none, a Heroku store other than the app's first counts too.
func (l *loader) candidates() (found []*candidate) {
	dotenv := func(name string) string {
		if l.real(name) != "" {
			return "" // the real variable wins
		}
		return l.get(name)
	}
	for _, p := range []place{{l.real, ""}, {dotenv, " in .env"}} {
		found = slices.Concat(found, l.binding(p), l.variables(p))
	}
	if len(found) == 0 {
		return l.colours()
	}
	return found
}

// fromURL returns the Redis at a URL, nil if the URL is invalid.
func (l *loader) fromURL(source, text string, heroku bool) []*candidate {
	c, err := parseURL(text)
	if err != nil {
		l.fail(source, "%v", err)
		return nil
	}
	c.Source, c.heroku = source, heroku
	return []*candidate{c}
}

// warnIgnored warns of options in the address that have no effect, and of another Redis that is configured too.
func (l *loader) warnIgnored(used *candidate, others []*candidate) {
	if len(used.ignored) > 0 {
		l.warn("%s: options without effect: %s; REDIS_TIMEOUT and REDIS_POOL_SIZE set the limits", used.Source, strings.Join(used.ignored, ", "))
	}
	var ignored []string
	for _, c := range others {
		if !slices.Equal(hostsOf(c.Options), hostsOf(used.Options)) || c.Options.DB != used.Options.DB {
			ignored = append(ignored, c.Source+" ("+c.Address()+")")
		}
	}
	if len(ignored) > 0 {
		l.warn("Redis is taken from %s (%s); other addresses are ignored: %s",
			used.Source, used.Address(), strings.Join(ignored, ", "))
	}
}

// applyCluster applies REDIS_CLUSTER, and refuses what does not work with a Cluster.
func (l *loader) applyCluster(c *candidate, cluster bool) {
	o := c.Options
	o.IsClusterMode = o.IsClusterMode || cluster
	switch {
	case !o.IsClusterMode:
	case o.MasterName != "" || strings.HasPrefix(o.Addrs[0], "/"):
		l.fail("REDIS_CLUSTER", "cannot be combined with a socket or Sentinel in %s", c.Source)
	case o.DB != 0:
		l.fail(c.Source, "selects a database, but a Cluster has only number 0: remove it")
	}
}
