package config

import (
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/redis/go-redis/v9"
)

// The messages of this file never quote a part of the URL: whatever is damaged may be a password. That is also why the
// errors of url.Parse and go-redis, which quote all of it, are not passed on.
const urlForm = "redis://USER:PASSWORD@HOST:PORT/NUMBER, or rediss:// for TLS"

// parseURL reads the forms of go-redis' ParseURL, ParseClusterURL (several addr parameters) and ParseFailoverURL
// (master_name), and several hosts with commas between them, as other clients do.
func parseURL(raw string) (*candidate, error) {
	u, err := splitURL(raw)
	if err != nil {
		return nil, err
	}
	query := u.Query()
	options, err := convertURL(u.String(), query)
	if err != nil {
		return nil, errors.New("has an option that go-redis does not know, or one with a wrong value, after the question mark; " +
			"the useful ones are db, addr, master_name and skip_verify")
	}
	if options.TLSConfig != nil {
		options.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: options.TLSConfig.InsecureSkipVerify}
	}
	options.Username = realUser(options.Username)
	options.SentinelUsername = realUser(options.SentinelUsername)
	return &candidate{options: options, ignored: tuning(query)}, nil
}

// splitURL parses a URL and explains the usual mistakes.
func splitURL(raw string) (*url.URL, error) {
	switch {
	case !strings.Contains(raw, "://"):
		return nil, errors.New("does not start with a scheme: write " + urlForm)
	case strings.ContainsFunc(raw, func(c rune) bool { return unicode.IsSpace(c) || unicode.IsControl(c) || c == '"' }):
		return nil, errors.New("contains a blank, a line break or a quotation mark: write it without")
	}
	u, err := url.Parse(moveHosts(raw))
	if err != nil || u.Fragment != "" || u.Scheme != "unix" && strings.Contains(u.Path+u.RawQuery, "@") {
		return nil, errors.New("is damaged: it has no valid port, or a password in which # / ? @ [ ] and % are not written " +
			"as %23 %2F %3F %40 %5B %5D and %25; write " + urlForm)
	}
	switch u.Scheme {
	case "redis", "rediss":
		return u, checkHost(u)
	case "valkey", "valkeys":
		u.Scheme = "redis" + strings.TrimPrefix(u.Scheme, "valkey")
		return u, checkHost(u)
	case "unix":
		return u, checkSocket(u)
	case "http", "https":
		return nil, fmt.Errorf("starts with %s://, which is the address of a web page or a REST interface: write %s", u.Scheme, urlForm)
	}
	return nil, errors.New("does not start with redis://, rediss:// or unix://: write " + urlForm)
}

// severalHosts splits a URL around the second and further hosts, which url.Parse does not know.
var severalHosts = regexp.MustCompile(`^([^/]*//(?:[^/?#]*@)?[^/?#@,]*),([^/?#@]*)(/[^?#]*)?(?:\?(.*))?$`)

// moveHosts writes the second and further hosts of a URL as addr parameters.
func moveHosts(raw string) string {
	match := severalHosts.FindStringSubmatch(raw)
	if match == nil {
		return raw
	}
	query := match[4]
	for _, host := range strings.Split(match[2], ",") {
		if !strings.Contains(host, ":") {
			host += ":6379"
		}
		query += "&addr=" + host
	}
	return match[1] + match[3] + "?" + strings.TrimPrefix(query, "&")
}

func checkHost(u *url.URL) error {
	port, err := strconv.Atoi(u.Port())
	switch {
	case u.Hostname() == "":
		return errors.New("names no host: write " + urlForm)
	case u.Port() == "" && !strings.HasSuffix(u.Host, ":"):
	case err != nil || port < 1 || port > 65535:
		return errors.New("has no valid port: it must be a number from 1 to 65535, as in " + urlForm)
	}
	database := strings.Trim(u.Path, "/")
	if strings.Trim(database, "0") != "" && u.Query().Has("addr") && !u.Query().Has("master_name") {
		return errors.New("names a database of a Cluster, which has only number 0: remove it")
	}
	return cmp.Or(checkDatabase(database), checkDatabase(u.Query().Get("db")))
}

func checkSocket(u *url.URL) error {
	switch {
	case u.Path == "" || u.Path == "/":
		return errors.New("names no socket: write unix:///path/to/redis.sock")
	case u.Query().Has("addr") || u.Query().Has("master_name"):
		return errors.New("names a socket together with addr or master_name: a Cluster or Sentinel has host:port addresses")
	}
	return checkDatabase(u.Query().Get("db"))
}

func checkDatabase(number string) error {
	if n, err := strconv.Atoi(number); number != "" && (err != nil || n < 0) {
		return errors.New("names a database: in Redis they have numbers, usually 0 to 15, so end it with /0 or with nothing")
	}
	return nil
}

// convertURL lets go-redis parse the URL and keeps what says where to dial and as whom; how long and how often is the
// matter of REDIS_TIMEOUT and REDIS_POOL_SIZE.
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

// realUser drops the names that hosts write into their URLs because something has to stand before the colon. Servers
// older than Redis 6 know no users and refuse them; on newer ones the password belongs to the user "default", which is
// whom a password without a name means.
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
