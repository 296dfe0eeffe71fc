package config

import (
	"os"
	"slices"
	"strings"
)

// The variables that hold the address of Redis as a URL, in the order of precedence.
var (
	// Heroku Key-Value Store, or set by hand. Old plans set both, the first with TLS.
	ownVariables = []string{"REDIS_TLS_URL", "REDIS_URL"}

	addonVariables = []string{
		"REDISCLOUD_URL",            // Redis Cloud
		"STACKHERO_REDIS_URL_TLS",   // Stackhero
		"STACKHERO_REDIS_URL_CLEAR", // Stackhero, without TLS
		"MEMETRIA_REDIS_URL",        // Memetria
		"REDISGREEN_URL",            // RedisGreen
		"OPENREDIS_URL",             // openredis
		"REDISTOGO_URL",             // Redis To Go
	}
)

// variables returns a Redis for each of these variables that is set.
func (l *loader) variables(p place) (found []*candidate) {
	for _, name := range slices.Concat(ownVariables, addonVariables) {
		if text := p.get(name); text != "" {
			heroku := l.platform == Heroku && slices.Contains(ownVariables, name)
			found = append(found, l.fromURL(name+p.suffix, text, heroku)...)
		}
	}
	return found
}

// colours returns the one Heroku Key-Value Store whose variable is named after a colour, as HEROKU_REDIS_AMBER_URL is:
// every store except the app's first has such a name. If there are several, nothing says which one to use: that is an
// error.
func (l *loader) colours() []*candidate {
	if l.platform != Heroku {
		return nil
	}
	var names []string
	for _, variable := range os.Environ() {
		name, _, _ := strings.Cut(variable, "=")
		if strings.HasPrefix(name, "HEROKU_REDIS_") && strings.HasSuffix(name, "_URL") && l.real(name) != "" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	switch len(names) {
	case 0:
		return nil
	case 1:
		return l.fromURL(names[0], l.real(names[0]), true)
	}
	l.fail(names[0], "is one of several (%s): make one of them REDIS_URL with heroku redis:promote", strings.Join(names, ", "))
	return nil
}
