package config

import (
	"cmp"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"
)

// The names that brokers use for the same thing, simplified: in lower case and without _ and -, so that tls_port, tlsPort
// and tls-port are the same. If several are present, the first one wins.
var (
	uriNames      = []string{"redissuri", "tlsuri", "uri", "url", "redisuri", "redisurl"}
	hostNames     = []string{"host", "hostname", "redishost", "endpoint", "address", "loadbalancedhost"}
	portNames     = []string{"port", "redisport"}
	tlsPortNames  = []string{"tlsport", "sslport", "redistlsport"} // in addition to a plain port, or instead of it
	userNames     = []string{"username", "user", "redisusername"}
	passwordNames = []string{"password", "pass", "redispassword", "authtoken", "authstring", "primarykey"}
	databaseNames = []string{"database", "db"}
	tlsNames      = []string{"tls", "tlsenabled", "ssl", "sslenabled", "usetls", "usessl"}
	clusterNames  = []string{"clustermode", "clustermodeenabled", "clusterenabled", "cluster"}
	masterNames   = []string{"mastername", "sentinelmastername", "master"}
	sentinelNames = []string{"sentinels", "sentineladdrs", "sentinelhosts"}
	caNames       = []string{
		"cacertificatebase64", "certificatebase64", "cacertificate", "cacert", "tlsca", "sslca", "servercacert",
		"certificates", "cacrt", "ca", "certificate", "cert",
	}
)

// fields are the credentials of a binding under simplified names.
type fields map[string]any

// simplify returns an object under simplified names.
func simplify(object map[string]any) fields {
	f := make(fields)
	for name, value := range object {
		f[strings.NewReplacer("_", "", "-", "").Replace(strings.ToLower(name))] = value
	}
	return f
}

// flatten simplifies the names and moves the values that some brokers nest to the top level.
func flatten(credentials map[string]any) fields {
	f := simplify(credentials)
	for _, name := range []string{"redis", "valkey", "credentials"} { // anynines, user-provided
		maps.Copy(f, f.nested(name))
	}
	for name, value := range f.nested("sentinel") {
		f["sentinel"+name] = value
	}
	for _, name := range []string{"redis", "rediss"} { // IBM
		connection := f.nested("connection").nested(name)
		if composed := connection.texts("composed"); len(composed) > 0 {
			f["uri"] = composed[0]
			maps.Copy(f, connection.nested("certificate"))
		}
	}
	return f
}

// nested returns the object of that name in f, nil if there is none.
func (f fields) nested(name string) fields {
	object, ok := f[name].(map[string]any)
	if !ok {
		return nil
	}
	return flatten(object)
}

// text returns the first of the named values that is a non-empty string or a number.
func (f fields) text(names ...string) string {
	for _, name := range names {
		switch v := f[name].(type) {
		case string:
			if v != "" {
				return v
			}
		case json.Number:
			return v.String()
		}
	}
	return ""
}

// texts returns the strings in a list.
func (f fields) texts(name string) (texts []string) {
	list, _ := f[name].([]any)
	for _, element := range list {
		if s, ok := element.(string); ok {
			texts = append(texts, s)
		}
	}
	return texts
}

// flag reports whether one of the named values (a string, a number or a boolean) means yes.
func (f fields) flag(names []string) bool {
	return slices.ContainsFunc(names, func(name string) bool {
		value := strings.ToLower(fmt.Sprint(f[name]))
		return slices.Contains([]string{"true", "1", "yes", "on", "enabled", "required"}, value)
	})
}

// port returns the first of the named values that is a port, written as a number or as a string.
func (f fields) port(names ...string) string {
	for _, name := range names {
		if n, err := strconv.ParseUint(f.text(name), 10, 16); err == nil && n > 0 {
			return f.text(name)
		}
	}
	return ""
}

// candidate returns the Redis that the credentials describe. The error quotes no value.
func (f fields) candidate() (*candidate, error) {
	c, err := f.locate()
	if err != nil {
		return nil, err
	}
	if f.flag(clusterNames) && c.Options.MasterName == "" {
		c.Options.IsClusterMode = true
	}
	if (f.port(tlsPortNames...) != "" || f.flag(tlsNames)) && c.Options.TLSConfig == nil {
		c.Options.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	c.ca = f.authority()
	return c, nil
}

// locate finds the address: Sentinels first, then a URI, then a host.
func (f fields) locate() (*candidate, error) {
	database, _ := strconv.Atoi(f.text(databaseNames...)) // 0 if there is none
	o := &redis.UniversalOptions{
		Username: realUser(f.text(userNames...)),
		Password: f.text(passwordNames...),
		DB:       max(database, 0),
	}
	o.Addrs, o.MasterName = f.sentinels(), f.text(masterNames...)
	if len(o.Addrs) > 0 && o.MasterName != "" {
		o.SentinelUsername, o.SentinelPassword = realUser(f.text("sentinelusername")), f.text("sentinelpassword")
		return &candidate{Redis: Redis{Options: o}}, nil
	}
	var damaged error
	if uri := f.text(uriNames...); isRedisURI(uri) {
		c, err := parseURL(uri)
		if err == nil {
			f.refine(c.Options, uri)
			return c, nil
		}
		damaged = err // many brokers do not escape the password; try the other fields, which hold it unescaped
	}
	host := f.text(hostNames...)
	switch {
	case host == "" && damaged != nil:
		return nil, fmt.Errorf("the uri in the credentials %w", damaged)
	case host == "":
		return nil, errors.New("the credentials hold no address, neither a redis:// uri nor a host: " +
			"bind the service again (cf unbind-service, cf bind-service), or name another one in REDIS_SERVICE")
	case hostOf(host) == host && f.text(portNames...) != "" && f.port(slices.Concat(tlsPortNames, portNames)...) == "":
		return nil, errors.New("the port in the credentials is not a number from 1 to 65535: bind the service again")
	}
	o.Addrs, o.MasterName = f.addresses(host), ""
	return &candidate{Redis: Redis{Options: o}}, nil
}

// refine corrects the options of a URI: the port, if there is one for TLS, and the password, if the broker did not escape
// it.
func (f fields) refine(o *redis.UniversalOptions, uri string) {
	if port := f.port(tlsPortNames...); port != "" && o.TLSConfig == nil && len(o.Addrs) == 1 {
		o.Addrs[0] = net.JoinHostPort(hostOf(o.Addrs[0]), port)
	}
	if plain := f.text(passwordNames...); plain != "" && strings.Contains(uri, ":"+plain+"@") {
		o.Password = plain
	}
}

// addresses splits a list of hosts and adds the port to each one that has none. Several hosts belong to a Cluster or are
// Sentinels.
func (f fields) addresses(text string) (addrs []string) {
	port := cmp.Or(f.port(tlsPortNames...), f.port(portNames...), "6379")
	for _, host := range strings.FieldsFunc(text, func(c rune) bool { return c == ',' || c == ';' || c == ' ' }) {
		if _, _, err := net.SplitHostPort(host); err != nil {
			host = net.JoinHostPort(strings.Trim(host, "[]"), port)
		}
		addrs = append(addrs, host)
	}
	return addrs
}

// sentinels returns the addresses in a string, in a list of strings or in a list of objects. If one of them has a port for
// TLS, it turns TLS on.
func (f fields) sentinels() (addrs []string) {
	for _, name := range sentinelNames {
		list, ok := f[name].([]any)
		if text := f.text(name); !ok && text != "" {
			list = []any{text}
		}
		for _, element := range list {
			s := fields{"host": element}
			if object, ok := element.(map[string]any); ok {
				s = flatten(object)
			}
			if s.port(slices.Concat(tlsPortNames, portNames)...) == "" {
				s["port"] = cmp.Or(f.port("sentinelport"), "26379")
			}
			if s.port(tlsPortNames...) != "" {
				f["tls"] = true
			}
			addrs = append(addrs, s.addresses(s.text("host", "hostname", "address", "ip"))...)
		}
	}
	return addrs
}

// authority returns the CA certificate in the binding as PEM. Some brokers encode it in base64.
func (f fields) authority() string {
	text := f.text(caNames...)
	if text == "" || strings.Contains(text, "-----BEGIN") {
		return text
	}
	decoded, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return text // refused later, and only if TLS needs it
	}
	return string(decoded)
}
