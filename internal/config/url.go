package config

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/redis/go-redis/v9"
)

// The messages of this file never quote a part of the URL: whatever is damaged may be a password.
// That is also why the errors of url.Parse and go-redis, which quote all of it, are not passed on.
const urlForm = "redis://USER:PASSWORD@HOST:PORT/NUMBER, or rediss:// for TLS"

// parseURL reads the forms of go-redis' ParseURL, ParseClusterURL (several addr parameters) and
// ParseFailoverURL (master_name).
func parseURL(raw string) (*candidate, error) {
	raw, err := normalizeScheme(raw)
	if err != nil {
		return nil, err
	}
	u, err := checkURL(raw)
	if err != nil {
		return nil, err
	}
	options, err := convertURL(raw, u.Query())
	if err != nil {
		return nil, errors.New("has an option that go-redis does not know, or one with a wrong value, after the question mark; " +
			"the useful ones are db, addr, master_name and skip_verify")
	}
	setServerName(options)
	options.Username = realUser(options.Username)
	options.SentinelUsername = realUser(options.SentinelUsername)
	return &candidate{options: options, ignored: tuning(u.Query())}, nil
}

// normalizeScheme lets valkey:// stand for redis:// and names the usual mistakes.
func normalizeScheme(raw string) (string, error) {
	scheme, rest, found := strings.Cut(raw, "://")
	if !found {
		return "", errors.New("does not start with a scheme: write " + urlForm)
	}
	switch scheme = strings.ToLower(scheme); scheme {
	case "redis", "rediss", "unix":
	case "valkey":
		scheme = "redis"
	case "valkeys":
		scheme = "rediss"
	case "http", "https":
		return "", fmt.Errorf("starts with %s://, which is the address of a web page or a REST interface: write %s", scheme, urlForm)
	default:
		return "", errors.New("does not start with redis://, rediss:// or unix://: write " + urlForm)
	}
	return scheme + "://" + rest, nil
}

// checkURL looks for the damage that url.Parse and go-redis explain badly or let pass.
func checkURL(raw string) (*url.URL, error) {
	scheme, rest, _ := strings.Cut(raw, "://")
	isSocket := scheme == "unix"
	authority, _, _ := strings.Cut(strings.ReplaceAll(rest, "?", "/"), "/")
	switch {
	case strings.ContainsFunc(raw, isStray):
		return nil, errors.New("contains a blank, a line break or a quotation mark: write it without")
	case strings.Contains(rest, "#"), !isSocket && strings.Contains(rest[len(authority):], "@"):
		return nil, errors.New("is damaged: in a password, # / ? @ and % must be written as %23 %2F %3F %40 and %25")
	case !isSocket && !validPort(authority):
		return nil, errors.New("has no valid port: it must be a number from 1 to 65535, as in " + urlForm)
	}
	u, err := url.Parse(raw)
	switch {
	case err != nil:
		return nil, errors.New("is damaged: write " + urlForm + "; in a password, % must be written as %25")
	case isSocket:
		return u, checkSocket(u)
	case u.Hostname() == "":
		return nil, errors.New("names no host: write " + urlForm)
	}
	return u, checkDatabase(u)
}

// isStray reports whether c gets into a URL only by a slip of copying.
func isStray(c rune) bool { return unicode.IsSpace(c) || unicode.IsControl(c) || c == '"' }

// validPort reports whether the text after the last colon, if there is one, is a port.
func validPort(authority string) bool {
	host := authority[strings.LastIndex(authority, "@")+1:]
	host = host[strings.LastIndex(host, "]")+1:] // [IPv6]
	_, port, found := strings.Cut(host, ":")
	n, err := strconv.Atoi(port)
	return !found || err == nil && 1 <= n && n <= 65535
}

func checkSocket(u *url.URL) error {
	if u.Path == "" || u.Path == "/" {
		return errors.New("names no socket: write unix:///path/to/redis.sock")
	}
	if u.Query().Has("addr") || u.Query().Has("master_name") {
		return errors.New("names a socket together with addr or master_name: a Cluster or Sentinel has host:port addresses")
	}
	return checkNumber(u.Query().Get("db"))
}

func checkDatabase(u *url.URL) error {
	if err := checkNumber(strings.Trim(u.Path, "/")); err != nil {
		return err
	}
	if err := checkNumber(u.Query().Get("db")); err != nil {
		return err
	}
	isNumbered := strings.Trim(u.Path, "/0") != ""
	if isNumbered && u.Query().Has("addr") && !u.Query().Has("master_name") {
		return errors.New("names a database of a Cluster, which has only number 0: remove it")
	}
	return nil
}

func checkNumber(database string) error {
	if database == "" {
		return nil
	}
	if n, err := strconv.Atoi(database); err != nil || n < 0 {
		return errors.New("names a database: in Redis they have numbers, usually 0 to 15, so end it with /0 or with nothing")
	}
	return nil
}

// convertURL lets go-redis parse the URL and keeps what says where to dial and as whom; how long
// and how often is the matter of REDIS_TIMEOUT and REDIS_POOL_SIZE.
func convertURL(raw string, query url.Values) (*redis.UniversalOptions, error) {
	switch {
	case query.Has("master_name"):
		o, err := redis.ParseFailoverURL(raw)
		if err != nil || o.MasterName == "" {
			return nil, errors.Join(err, errors.New("no master"))
		}
		return &redis.UniversalOptions{
			Addrs: o.SentinelAddrs, MasterName: o.MasterName, DB: o.DB, TLSConfig: o.TLSConfig,
			Username: o.Username, Password: o.Password, SentinelUsername: o.SentinelUsername,
			SentinelPassword: o.SentinelPassword, Protocol: o.Protocol, ClientName: o.ClientName,
		}, nil
	case query.Has("addr"):
		o, err := redis.ParseClusterURL(raw)
		if err != nil {
			return nil, err
		}
		return &redis.UniversalOptions{
			Addrs: o.Addrs, IsClusterMode: true, TLSConfig: o.TLSConfig,
			Username: o.Username, Password: o.Password, Protocol: o.Protocol, ClientName: o.ClientName,
		}, nil
	}
	o, err := redis.ParseURL(raw)
	if err != nil {
		return nil, err
	}
	return &redis.UniversalOptions{
		Addrs: []string{o.Addr}, DB: o.DB, TLSConfig: o.TLSConfig,
		Username: o.Username, Password: o.Password, Protocol: o.Protocol, ClientName: o.ClientName,
	}, nil
}

// setServerName says whose certificate to expect: the host's, where there is only one. Of several
// hosts each is checked by the name it is dialled by, which go-redis does for an empty ServerName.
func setServerName(o *redis.UniversalOptions) {
	if o.TLSConfig == nil {
		return
	}
	hosts := hostsOf(o)
	o.TLSConfig.ServerName = hosts[0]
	if len(hosts) > 1 {
		o.TLSConfig.ServerName = ""
	}
	o.TLSConfig.MinVersion = tls.VersionTLS12
}

// hostsOf returns the different hosts of o, sorted.
func hostsOf(o *redis.UniversalOptions) []string {
	var hosts []string
	for _, addr := range o.Addrs {
		host, _, err := net.SplitHostPort(addr)
		if err != nil {
			host = addr // a socket
		}
		hosts = append(hosts, host)
	}
	slices.Sort(hosts)
	return slices.Compact(hosts)
}

// realUser drops the names that hosts write into their URLs because something has to stand before
// the colon. Servers older than Redis 6 know no users and refuse them; on newer ones the password
// belongs to the user "default", which is whom a password without a name means.
func realUser(name string) string {
	switch name {
	case "default", "h", "u", "x", "redistogo", "rediscloud", "no-user-name-for-redis":
		return ""
	}
	return name
}

// tuning returns the parameters of a URL that are understood and not used.
func tuning(query url.Values) []string {
	var ignored []string
	for name := range query {
		switch name {
		case "db", "addr", "master_name", "username", "password", "protocol", "client_name", "skip_verify":
		default:
			ignored = append(ignored, name)
		}
	}
	slices.Sort(ignored)
	return ignored
}
