package config

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/netip"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

const (
	minSecretLength = 32
	maxNameLength   = 64 // of an instance's name and of the key prefix, in characters

	stickyCookie = "JSESSIONID"  // Cloud Foundry's router pins whoever carries it
	routerCookie = "__VCAP_ID__" // and this one it sets itself
)

// reader reads variables and collects what is wrong with them, so that all mistakes are told
// together.
type reader struct {
	env      Environment
	platform Platform
	errs     []error
	warnings []string
}

func newReader(env Environment) *reader {
	r := &reader{env: env, platform: Local}
	switch {
	case r.real("VCAP_APPLICATION") != "":
		r.platform = CloudFoundry
	case r.real("DYNO") != "":
		r.platform = Heroku
	}
	if r.platform != Local {
		r.env.Dotenv = nil
	}
	return r
}

// real returns a variable of the process environment.
func (r *reader) real(name string) string {
	if r.env.Getenv == nil {
		return ""
	}
	return strings.TrimSpace(r.env.Getenv(name))
}

// get returns a variable of the process environment or else of .env, without the blanks around
// it. An empty one counts as not set.
func (r *reader) get(name string) string {
	if v := r.real(name); v != "" {
		return v
	}
	return strings.TrimSpace(r.env.Dotenv[name])
}

// readFile returns "" for a file that is not there or cannot be read.
func (r *reader) readFile(name string) string {
	if r.env.ReadFile == nil {
		return ""
	}
	text, err := r.env.ReadFile(name)
	if err != nil {
		return ""
	}
	return string(text)
}

// fail notes a mistake in the variable. The message must not hold the variable's value.
func (r *reader) fail(name, format string, args ...any) {
	r.errs = append(r.errs, fmt.Errorf("%s: %s", name, fmt.Sprintf(format, args...)))
}

// warn notes something that works but surprises.
func (r *reader) warn(format string, args ...any) {
	r.warnings = append(r.warnings, fmt.Sprintf(format, args...))
}

func (r *reader) integer(name string, byDefault, least, most int) int {
	v := r.get(name)
	if v == "" {
		return byDefault
	}
	n, err := strconv.Atoi(v)
	if err != nil || n < least || n > most {
		r.fail(name, "must be a whole number from %d to %d", least, most)
	}
	return n
}

func (r *reader) duration(name string, byDefault, least time.Duration) time.Duration {
	v := r.get(name)
	if v == "" || v == "none" && byDefault == 0 {
		return byDefault
	}
	d, err := time.ParseDuration(v)
	switch {
	case err != nil:
		r.fail(name, "must be a number with a unit, such as 500ms, 90s, 30m or 24h")
	case d < least:
		r.fail(name, "must be at least %s", least)
	case d%time.Millisecond != 0:
		r.fail(name, "must be a whole number of milliseconds")
	}
	return d
}

func (r *reader) boolean(name string, byDefault bool) bool {
	return r.choice(name, "true or false", byDefault)
}

func (r *reader) boolOrAuto(name string, auto bool) bool {
	if r.get(name) == "auto" {
		return auto
	}
	return r.choice(name, "auto, true or false", auto)
}

func (r *reader) choice(name, allowed string, byDefault bool) bool {
	switch strings.ToLower(r.get(name)) {
	case "":
		return byDefault
	case "true", "1":
		return true
	case "false", "0":
		return false
	}
	r.fail(name, "must be %s", allowed)
	return byDefault
}

// secrets returns the elements of a comma-separated list, nil if it is not set.
func (r *reader) secrets(name string) [][]byte {
	v := r.get(name)
	if v == "" {
		return nil
	}
	var secrets [][]byte
	for i, secret := range strings.Split(v, ",") {
		secret = strings.TrimSpace(secret)
		switch {
		case secret == "":
			r.fail(name, "secret number %d is empty: remove the comma too many", i+1)
		case utf8.RuneCountInString(secret) < minSecretLength:
			r.fail(name, "secret number %d is shorter than %d characters: make one with: openssl rand -hex 32", i+1, minSecretLength)
		case isSample(secret):
			r.fail(name, "secret number %d is a well-known sample: make one with: openssl rand -hex 32", i+1)
		case distinct(secret) < 8:
			r.warn("%s: secret number %d is easy to guess; make one with: openssl rand -hex 32", name, i+1)
		}
		secrets = append(secrets, []byte(secret))
	}
	return secrets
}

func (r *reader) cookieName(name, byDefault string) string {
	v := r.get(name)
	switch {
	case v == "":
		return byDefault
	case !isToken(v):
		r.fail(name, "must consist of letters, digits and any of !#$%%&'*+-.^_`|~")
	case strings.HasPrefix(strings.ToLower(v), "__host-"), strings.HasPrefix(strings.ToLower(v), "__secure-"):
		r.fail(name, "must be written without a prefix: __Host- is added by itself on HTTPS")
	case v == routerCookie:
		r.fail(name, "belongs to Cloud Foundry's router: choose another name")
	case v == stickyCookie:
		r.warn("%s=%s pins each visitor to one instance on Cloud Foundry; take another name to be served by all of them", name, v)
	}
	return v
}

// isToken reports whether s is a token of RFC 9110, which is what the name of a cookie must be.
func isToken(s string) bool {
	return !strings.ContainsFunc(s, func(c rune) bool {
		return c > unicode.MaxASCII || !unicode.IsLetter(c) && !unicode.IsDigit(c) && !strings.ContainsRune("!#$%&'*+-.^_`|~", c)
	})
}

func (r *reader) keyPrefix(name, byDefault string) string {
	v := r.get(name)
	if v == "" {
		return byDefault
	}
	if !isPrintable(v) || strings.Contains(v, " ") {
		r.fail(name, "must have at most %d characters, without blanks and control characters", maxNameLength)
	}
	return v
}

// isPrintable reports whether s is short and plain enough to appear in pages, logs and keys.
func isPrintable(s string) bool {
	return utf8.ValidString(s) && utf8.RuneCountInString(s) <= maxNameLength &&
		!strings.ContainsFunc(s, func(c rune) bool { return !unicode.IsPrint(c) })
}

// appName returns the name by which the platform's commands know the app. Heroku tells it only to apps with
// dyno metadata.
func (r *reader) appName() string {
	var name string
	switch r.platform {
	case CloudFoundry:
		var app struct {
			Name string `json:"application_name"`
		}
		if json.Unmarshal([]byte(r.real("VCAP_APPLICATION")), &app) == nil {
			name = app.Name
		}
	case Heroku:
		name = r.real("HEROKU_APP_NAME")
	}
	if !isPrintable(name) {
		return ""
	}
	return name
}

// instance returns the configured name, else the one the platform or the process manager gave,
// else the host's with the port.
func (r *reader) instance(name string, port int) string {
	if v := r.get(name); v != "" && v != "auto" {
		if !isPrintable(v) {
			r.fail(name, "must have at most %d characters, all of them printable", maxNameLength)
		}
		return v
	}
	for _, given := range []string{"DYNO", "FOREMAN_WORKER_NAME", "CF_INSTANCE_INDEX"} {
		if v := r.real(given); v != "" && isPrintable(v) {
			return v
		}
	}
	return r.hostname() + ":" + strconv.Itoa(port)
}

// hostname returns the host's name, cut so that there is room for a port behind it.
func (r *reader) hostname() string {
	if r.env.Hostname == nil {
		return "localhost"
	}
	name, err := r.env.Hostname()
	if err != nil || name == "" || !isPrintable(name) {
		return "localhost"
	}
	runes := []rune(name)
	return string(runes[:min(len(runes), maxNameLength-len(":65535"))])
}

// proxies returns CIDR ranges. On a platform the routers, whose addresses change, reach the app
// from private ranges only.
func (r *reader) proxies(name string) []string {
	v := r.get(name)
	switch {
	case v == "none", r.platform == Local && (v == "" || v == "auto"):
		return nil
	case v == "" || v == "auto":
		return []string{"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "127.0.0.0/8", "fc00::/7", "::1/128"}
	}
	var ranges []string
	for i, item := range strings.Split(v, ",") {
		prefix, err := parsePrefix(strings.TrimSpace(item))
		if err != nil {
			r.fail(name, "entry number %d is not an address range: write auto, none, or ranges such as 10.0.0.0/8,192.168.1.7", i+1)
			continue
		}
		if prefix.Bits() == 0 {
			r.warn("%s trusts everybody: any client can forge its address", name)
		}
		ranges = append(ranges, prefix.String())
	}
	return ranges
}

// parsePrefix reads a CIDR range or a single address.
func parsePrefix(s string) (netip.Prefix, error) {
	if addr, err := netip.ParseAddr(s); err == nil {
		return addr.Prefix(addr.BitLen())
	}
	prefix, err := netip.ParsePrefix(s)
	return prefix.Masked(), err
}

func (r *reader) logLevel(name string) slog.Level {
	switch strings.ToLower(r.get(name)) {
	case "", "info":
		return slog.LevelInfo
	case "debug":
		return slog.LevelDebug
	case "warn", "warning":
		return slog.LevelWarn
	case "error":
		return slog.LevelError
	}
	r.fail(name, "must be debug, info, warn or error")
	return slog.LevelInfo
}

func (r *reader) logFormat(name string) string {
	switch v := strings.ToLower(r.get(name)); v {
	case "text", "json":
		return v
	case "", "auto":
		if r.platform != Local {
			return "json"
		}
		return "auto"
	}
	r.fail(name, "must be auto, text or json")
	return "auto"
}
