package config

import (
	"cmp"
	"crypto/tls"
	"errors"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"
)

// No message quotes any part of the URL, because the invalid part may be a password. For the same reason the errors of
// url.Parse and go-redis, which quote the URL, are not passed on.
const urlForm = "write redis://USER:PASSWORD@HOST:PORT/NUMBER, or rediss:// for TLS"

var (
	errScheme = errors.New("does not start with redis://, rediss:// or unix:// " +
		"(http:// and https:// lead to a web page or a REST interface): " + urlForm)
	errInvalid = errors.New("is not a valid URL: it contains a space, a line break or a quotation mark, it has no valid port, " +
		"or its password contains # / ? @ [ ] or %, which must be written as %23 %2F %3F %40 %5B %5D and %25; " + urlForm)
	errNoHost          = errors.New("has no host: " + urlForm)
	errNoSocket        = errors.New("has no socket path: write unix:///path/to/redis.sock")
	errSocketOfMany    = errors.New("combines a socket with addr or master_name: a Cluster or Sentinel needs host:port addresses")
	errDatabase        = errors.New("has no valid database: Redis numbers its databases, usually 0 to 15; end the URL with /0, or leave that out")
	errClusterDatabase = errors.New("selects a database, but a Cluster has only number 0: remove it")
	errOption          = errors.New("has an unknown option after the question mark, or one with a wrong value; " +
		"the useful ones are db, addr, master_name and skip_verify")
)

// parseURL accepts the forms of go-redis' ParseURL, ParseClusterURL (several addr parameters) and ParseFailoverURL
// (master_name), and several hosts separated by commas, as other clients do.
func parseURL(raw string) (*candidate, error) {
	u, err := url.Parse(moveHosts(raw))
	switch {
	case !strings.Contains(raw, "://"):
		return nil, errScheme
	case err != nil, u.Fragment != "", strings.ContainsAny(raw, " \u00a0\""), u.Scheme != "unix" && strings.Contains(u.Path+u.RawQuery, "@"):
		return nil, errInvalid
	}
	if tail, ok := strings.CutPrefix(u.Scheme, "valkey"); ok {
		u.Scheme = "redis" + tail
	}
	query := u.Query()
	if err := check(u, query); err != nil {
		return nil, err
	}
	options, err := convertURL(u.String(), query)
	if err != nil {
		return nil, errOption
	}
	if options.TLSConfig != nil {
		options.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: options.TLSConfig.InsecureSkipVerify}
	}
	options.Username = realUser(options.Username)
	options.SentinelUsername = realUser(options.SentinelUsername)
	return &candidate{Redis: Redis{Options: options}, ignored: unused(query)}, nil
}

// check explains the mistakes that go-redis would reject without a reason, or misread.
func check(u *url.URL, query url.Values) error {
	database := query.Get("db")
	switch u.Scheme {
	case "redis", "rediss":
		port, err := strconv.ParseUint(u.Port(), 10, 16)
		hasPort := u.Port() != "" || strings.HasSuffix(u.Host, ":")
		database = cmp.Or(strings.Trim(u.Path, "/"), database)
		switch {
		case u.Hostname() == "":
			return errNoHost
		case hasPort && (err != nil || port == 0), strings.Contains(u.Hostname(), ":") && !strings.HasPrefix(u.Host, "["):
			return errInvalid
		}
	case "unix":
		switch {
		case u.Path == "" || u.Path == "/":
			return errNoSocket
		case query.Has("addr") || query.Has("master_name"):
			return errSocketOfMany
		}
	default:
		return errScheme
	}
	n, err := strconv.Atoi(cmp.Or(database, "0"))
	switch {
	case err != nil || n < 0:
		return errDatabase
	case n != 0 && query.Has("addr") && !query.Has("master_name"):
		return errClusterDatabase
	}
	return nil
}

// severalHosts splits a URL around the second and further hosts, which url.Parse does not support.
var severalHosts = regexp.MustCompile(`^([^/]*//(?:[^/?#]*@)?[^/?#@,]*),([^/?#@]*)(/[^?#]*)?(?:\?(.*))?$`)

// moveHosts writes the second and further hosts of a URL as addr parameters.
func moveHosts(raw string) string {
	match := severalHosts.FindStringSubmatch(raw)
	if match == nil {
		return raw
	}
	var query strings.Builder
	query.WriteString(match[4])
	for host := range strings.SplitSeq(match[2], ",") {
		if !strings.Contains(host, ":") {
			host += ":6379"
		}
		query.WriteString("&addr=" + host)
	}
	return match[1] + match[3] + "?" + strings.TrimPrefix(query.String(), "&")
}

// convertURL lets go-redis parse the URL, and keeps only the options that say where and how to connect and as which user.
// Timeouts and pool sizes come from REDIS_TIMEOUT and REDIS_POOL_SIZE.
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

// realUser drops the placeholder names that hosting providers put before the colon. Redis before version 6 has no users and
// refuses them. In newer versions a password without a name belongs to the user "default", as intended.
func realUser(name string) string {
	switch name {
	case "default", "h", "u", "x", "redistogo", "rediscloud", "no-user-name-for-redis":
		return ""
	}
	return name
}

// unused returns the names of the parameters that go-redis understands but that have no effect here.
func unused(query url.Values) []string {
	used := []string{"db", "addr", "master_name", "username", "password", "protocol", "client_name", "skip_verify"}
	names := slices.Sorted(maps.Keys(query))
	return slices.DeleteFunc(names, func(name string) bool { return slices.Contains(used, name) })
}
