package config

import (
	"encoding/json"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Platform is where the process runs. It is recognised by a variable that the platform always sets.
type Platform string

// The platforms with their own presets. Everything other than Heroku and Cloud Foundry is Local.
const (
	Local        Platform = "local"
	Heroku       Platform = "heroku"        // DYNO is set, and not by Dokku
	CloudFoundry Platform = "cloud-foundry" // VCAP_APPLICATION is set
)

// findPlatform returns the platform. Dokku sets DYNO too, but serves plain http by default, and its Redis has a
// valid certificate or no TLS, so none of Heroku's presets applies there.
func (l *loader) findPlatform() Platform {
	switch {
	case l.real("VCAP_APPLICATION") != "":
		return CloudFoundry
	case l.real("DYNO") != "" && l.real("DOKKU_APP_TYPE") == "":
		return Heroku
	}
	return Local
}

// appName returns the app's name in the platform's commands. Heroku sets it only for apps with dyno metadata.
func (l *loader) appName() string {
	var name string
	switch l.platform {
	case CloudFoundry:
		var app struct {
			Name string `json:"application_name"`
		}
		if json.Unmarshal([]byte(l.real("VCAP_APPLICATION")), &app) == nil {
			name = app.Name
		}
	case Heroku:
		name = l.real("HEROKU_APP_NAME")
	}
	if !isPrintable(name) {
		return ""
	}
	return name
}

// routers returns the ranges from which the platform's routers, whose addresses change, reach the app.
func (l *loader) routers() []netip.Prefix {
	if l.platform == Local {
		return nil
	}
	return []netip.Prefix{
		netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("172.16.0.0/12"), netip.MustParsePrefix("192.168.0.0/16"),
		netip.MustParsePrefix("100.64.0.0/10"), netip.MustParsePrefix("127.0.0.0/8"),
		netip.MustParsePrefix("fc00::/7"), netip.MustParsePrefix("::1/128"),
	}
}

// memoryLimit returns the container's limit in bytes, from Cloud Foundry or else from the kernel, in the directory cgroup.
// It is 0 outside the platforms, where other programs share the machine's memory, and if GOMEMLIMIT is set, which takes
// precedence.
func (l *loader) memoryLimit(cgroup string) int64 {
	if l.platform == Local || l.real("GOMEMLIMIT") != "" {
		return 0
	}
	if given := l.real("MEMORY_LIMIT"); given != "" {
		if limit := parseBytes(given); limit > 0 {
			return limit
		}
		l.warn("MEMORY_LIMIT is ignored: it must have a form such as 64M or 1G")
	}
	for _, file := range []string{"memory.max", "memory/memory.limit_in_bytes"} { // version 2, version 1
		text, err := os.ReadFile(filepath.Join(cgroup, file))
		if limit := parseBytes(strings.TrimSpace(string(text))); err == nil && limit > 0 {
			return limit
		}
	}
	return 0
}

// parseBytes reads a number of bytes with an optional suffix in powers of 1024, as in "64M", "1g" or "64MB". It returns
// 0 for anything else, and for numbers so large that they mean "no limit".
func parseBytes(s string) int64 {
	const noLimit = 1 << 50
	s = strings.TrimSuffix(strings.ToLower(s), "b")
	shift := 0
	if s != "" {
		if i := strings.IndexByte("kmgt", s[len(s)-1]); i >= 0 {
			s, shift = s[:len(s)-1], 10*(i+1)
		}
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 || n > noLimit>>shift {
		return 0
	}
	return n << shift
}
