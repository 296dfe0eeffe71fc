package config

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

const (
	maxNameLength = 64 // of an instance's name and of the key prefix, in characters

	// maxRedisTimeout leaves time to answer before the router gives up. Heroku's waits 30 seconds.
	maxRedisTimeout = 10 * time.Second
	maxTTL          = 10 * 365 * 24 * time.Hour

	stickyCookie = "JSESSIONID"  // Cloud Foundry's router pins visitors with this cookie to one instance
	routerCookie = "__VCAP_ID__" // the router's own cookie, which names that instance
)

// loader reads variables and collects the mistakes in them, so that all are reported together.
type loader struct {
	getenv   func(name string) string
	dotenv   map[string]string
	platform Platform
	mistakes []error
	warnings []string
}

func newLoader(getenv func(string) string) *loader {
	l := &loader{getenv: getenv}
	l.platform = l.findPlatform()
	if l.platform == Local {
		var err error
		if l.dotenv, err = readDotenv(".env"); err != nil {
			l.mistakes = append(l.mistakes, err)
		}
	}
	return l
}

// real returns a cleaned variable of the process environment. An empty one counts as not set.
func (l *loader) real(name string) string { return clean(l.getenv(name)) }

// get returns a variable of the process environment, or of .env if it is not set there.
func (l *loader) get(name string) string { return cmp.Or(l.real(name), clean(l.dotenv[name])) }

// clean removes the spaces around a value, and the quotation marks that docker's --env-file leaves there.
func clean(value string) string {
	value = strings.TrimSpace(value)
	for _, quote := range []string{`"`, `'`} {
		if inner, ok := strings.CutPrefix(value, quote); ok && strings.HasSuffix(inner, quote) {
			return strings.TrimSpace(strings.TrimSuffix(inner, quote))
		}
	}
	return value
}

// fail records a mistake in the variable. The message must not contain the variable's value.
func (l *loader) fail(name, format string, args ...any) {
	l.mistakes = append(l.mistakes, fmt.Errorf("%s: %s", name, fmt.Sprintf(format, args...)))
}

// warn records something that works but may surprise.
func (l *loader) warn(format string, args ...any) {
	l.warnings = append(l.warnings, fmt.Sprintf(format, args...))
}

// parser reads the text of a variable. Its error says what the text must be and never quotes it.
type parser[T any] func(text string) (T, error)

// setting returns the parsed value of a variable, or unset if it is not set.
func setting[T any](l *loader, name string, unset T, parse parser[T]) T {
	text := l.get(name)
	if text == "" {
		return unset
	}
	value, err := parse(text)
	if err != nil {
		l.fail(name, "%v", err)
	}
	return value
}

// autoSetting is like setting, but the value auto counts as not set.
func autoSetting[T any](l *loader, name string, unset T, parse parser[T]) T {
	if strings.EqualFold(l.get(name), "auto") {
		return unset
	}
	return setting(l, name, unset, parse)
}

// orNone returns a parser that also accepts the word none, which means the zero value.
func orNone[T any](parse parser[T]) parser[T] {
	return func(text string) (value T, err error) {
		if strings.EqualFold(text, "none") {
			return value, nil
		}
		return parse(text)
	}
}

func integer(min, max int) parser[int] {
	return func(text string) (int, error) {
		n, err := strconv.Atoi(text)
		if err != nil || n < min || n > max {
			return 0, fmt.Errorf("must be a whole number from %d to %d", min, max)
		}
		return n, nil
	}
}

func duration(min, max time.Duration) parser[time.Duration] {
	return func(text string) (time.Duration, error) {
		d, err := time.ParseDuration(text)
		switch {
		case err != nil:
			return 0, errors.New("must be a number with a unit, such as 500ms, 90s, 30m or 24h")
		case d < min || d > max:
			return 0, fmt.Errorf("must be at least %s and at most %s", min, max)
		case d%time.Millisecond != 0:
			return 0, errors.New("must be a whole number of milliseconds")
		}
		return d, nil
	}
}

// oneOf returns a parser that maps words to their values, in any case. The keys of values are in lower case.
func oneOf[T any](allowed string, values map[string]T) parser[T] {
	return func(text string) (T, error) {
		value, ok := values[strings.ToLower(text)]
		if !ok {
			return value, errors.New("must be " + allowed)
		}
		return value, nil
	}
}

var (
	booleans = map[string]bool{"true": true, "1": true, "false": false, "0": false}
	boolean  = oneOf("true or false", booleans)
)

func (l *loader) cookieName(text string) (string, error) {
	switch lower := strings.ToLower(text); {
	case (&http.Cookie{Name: text}).Valid() != nil:
		return "", errors.New("must consist of letters, digits and any of !#$%&'*+-.^_`|~")
	case strings.HasPrefix(lower, "__host-"), strings.HasPrefix(lower, "__secure-"):
		return "", errors.New("must be written without a prefix: __Host- is added automatically on HTTPS")
	case text == routerCookie:
		return "", errors.New("belongs to Cloud Foundry's router: choose another name")
	case text == stickyCookie:
		l.warn("COOKIE_NAME=%s pins each visitor to one instance on Cloud Foundry; choose another name to be served by all of them", stickyCookie)
	}
	return text, nil
}

func keyPrefix(text string) (string, error) {
	if !isPrintable(text) || strings.Contains(text, " ") {
		return "", fmt.Errorf("must have at most %d characters, without spaces or control characters", maxNameLength)
	}
	// The store refuses it too, but without the variable's name.
	if _, tag, found := strings.Cut(text, "{"); found && strings.IndexByte(tag, '}') < 1 {
		return "", errors.New("must have something between { and }, which mark the part that a Redis Cluster places keys by")
	}
	return text, nil
}

func instanceName(text string) (string, error) {
	if !isPrintable(text) {
		return "", fmt.Errorf("must have at most %d characters, all of them printable", maxNameLength)
	}
	return text, nil
}

// isPrintable reports whether s is short and plain enough to appear in pages, logs and keys.
func isPrintable(s string) bool {
	return utf8.ValidString(s) && utf8.RuneCountInString(s) <= maxNameLength &&
		!strings.ContainsFunc(s, func(c rune) bool { return !unicode.IsPrint(c) })
}

// defaultInstance returns the name given by the platform or the process manager, or else the host name and the port.
func (l *loader) defaultInstance(port int) string {
	for _, given := range []string{"DYNO", "FOREMAN_WORKER_NAME", "CF_INSTANCE_INDEX"} {
		if name := l.real(given); name != "" && isPrintable(name) {
			return name
		}
	}
	host, err := os.Hostname()
	if err != nil {
		host = "" // hostInstance has a name for it
	}
	return hostInstance(host, port)
}

// hostInstance names an instance after its host, shortened to leave room for the port.
func hostInstance(host string, port int) string {
	runes := []rune(host)
	host = string(runes[:min(len(runes), maxNameLength-len(":65535"))])
	if host == "" || !isPrintable(host) {
		host = "localhost"
	}
	return host + ":" + strconv.Itoa(port)
}

// proxies reads a comma-separated list of address ranges.
func (l *loader) proxies(text string) ([]netip.Prefix, error) {
	var ranges []netip.Prefix
	for i, item := range strings.Split(text, ",") {
		prefix, err := parsePrefix(strings.TrimSpace(item))
		if err != nil {
			return nil, fmt.Errorf("entry number %d is not an address range: write auto, none, or ranges such as 10.0.0.0/8,192.168.1.7", i+1)
		}
		if prefix.Bits() == 0 {
			l.warn("TRUSTED_PROXIES trusts every address: any client can forge X-Forwarded-* headers")
		}
		ranges = append(ranges, prefix)
	}
	return ranges, nil
}

// parsePrefix reads a CIDR range or a single address.
func parsePrefix(s string) (netip.Prefix, error) {
	if addr, err := netip.ParseAddr(s); err == nil {
		return addr.Prefix(addr.BitLen())
	}
	prefix, err := netip.ParsePrefix(s)
	return prefix.Masked(), err
}
