package config

import (
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"net"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"
)

// fields are the credentials of a binding under simplified names: lower case, without _ and -, so
// that tls_port, tlsPort and tls-port are one.
type fields map[string]any

// flatten simplifies the names and lifts up what some brokers nest.
func flatten(credentials map[string]any) fields {
	f := make(fields)
	for name, value := range credentials {
		name = strings.NewReplacer("_", "", "-", "").Replace(strings.ToLower(name))
		f[name] = value
	}
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

// nested returns an object within f, empty if there is none.
func (f fields) nested(name string) fields {
	object, _ := f[name].(map[string]any)
	if object == nil {
		return nil
	}
	return flatten(object)
}

// text returns the first of the named values that is a text or a number.
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

// texts returns the elements of a list.
func (f fields) texts(name string) []string {
	list, _ := f[name].([]any)
	var texts []string
	for _, element := range list {
		if s, ok := element.(string); ok {
			texts = append(texts, s)
		}
	}
	return texts
}

// flag reports whether one of the named values means yes.
func (f fields) flag(names ...string) bool {
	for _, name := range names {
		if yes, _ := f[name].(bool); yes {
			return true
		}
		switch strings.ToLower(f.text(name)) {
		case "true", "1", "yes", "on", "enabled", "required":
			return true
		}
	}
	return false
}

// port returns the first of the named values that is a port, written as a number or as a text.
func (f fields) port(names ...string) string {
	for _, name := range names {
		if n, err := strconv.Atoi(f.text(name)); err == nil && 0 < n && n <= 65535 {
			return strconv.Itoa(n)
		}
	}
	return ""
}

func (f fields) uri() string {
	return f.text("redissuri", "tlsuri", "uri", "url", "redisuri", "redisurl")
}

func (f fields) password() string {
	return f.text("password", "pass", "redispassword", "authtoken", "authstring", "primarykey")
}

// database returns the number of the database, 0 where there is none that is a number.
func (f fields) database() int {
	n, _ := strconv.Atoi(f.text("database", "db"))
	return max(n, 0)
}

// tlsPort returns the port for TLS, for brokers that offer one beside the plain one.
func (f fields) tlsPort() string { return f.port("tlsport", "sslport", "redistlsport") }

func (f fields) wantsTLS() bool {
	return f.tlsPort() != "" || f.flag("tls", "tlsenabled", "ssl", "sslenabled", "usetls", "usessl")
}

// candidate reads the credentials. The error names no value.
func (s service) candidate() (*candidate, error) {
	f := flatten(s.credentials)
	c, err := f.locate()
	if err != nil {
		return nil, err
	}
	if f.flag("clustermode", "clustermodeenabled", "clusterenabled", "cluster") && c.options.MasterName == "" {
		c.options.IsClusterMode = true
	}
	if f.wantsTLS() && c.options.TLSConfig == nil {
		c.options.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12}
		setServerName(c.options)
	}
	c.ca = f.authority()
	return c, nil
}

// locate finds the address in whichever way the broker gives it.
func (f fields) locate() (*candidate, error) {
	if sentinels := f.sentinels(); len(sentinels) > 0 && f.master() != "" {
		return &candidate{options: f.failover(sentinels)}, nil
	}
	var damaged error
	if uri := f.uri(); isRedisURI(uri) {
		c, err := parseURL(uri)
		if err == nil {
			f.refine(c.options, uri)
			return c, nil
		}
		damaged = err // many a broker does not escape the password; the fields have it as it is
	}
	host := f.text("host", "hostname", "redishost", "endpoint", "address", "loadbalancedhost")
	if host == "" && damaged != nil {
		return nil, errors.New("the uri in the credentials " + damaged.Error())
	}
	if host == "" {
		return nil, errors.New("the credentials hold no address, neither a redis:// uri nor a host: " +
			"cf unbind-service and cf bind-service it again, or name another service in REDIS_SERVICE")
	}
	return &candidate{options: &redis.UniversalOptions{
		Addrs:    []string{f.address(host)},
		Username: realUser(f.text("username", "user", "redisusername")),
		Password: f.password(),
		DB:       f.database(),
	}}, nil
}

// refine corrects what a URI cannot say: which port speaks TLS, and how a password is spelt that
// the broker did not escape.
func (f fields) refine(o *redis.UniversalOptions, uri string) {
	if port := f.tlsPort(); port != "" && o.TLSConfig == nil && len(o.Addrs) == 1 {
		host, _, _ := net.SplitHostPort(o.Addrs[0])
		o.Addrs[0] = net.JoinHostPort(host, port)
	}
	if plain := f.password(); plain != "" && strings.Contains(uri, ":"+plain+"@") {
		o.Password = plain
	}
}

// address completes a host with the port to use, unless it has one of its own.
func (f fields) address(host string) string {
	if _, _, err := net.SplitHostPort(host); err == nil {
		return host
	}
	port := f.tlsPort()
	if port == "" {
		port = f.port("port", "redisport")
	}
	if port == "" {
		port = "6379"
	}
	return net.JoinHostPort(strings.Trim(host, "[]"), port)
}

func (f fields) master() string { return f.text("mastername", "sentinelmastername", "master") }

// sentinels returns the addresses of a list of texts or of objects. A port for TLS in one of them
// turns TLS on.
func (f fields) sentinels() []string {
	var addrs []string
	for _, name := range []string{"sentinels", "sentineladdrs", "sentinelhosts"} {
		list, _ := f[name].([]any)
		for _, element := range list {
			s := fields{"host": element}
			if object, ok := element.(map[string]any); ok {
				s = flatten(object)
			}
			if s.port("port", "tlsport") == "" {
				s["port"] = f.text("sentinelport")
			}
			if s.port("port", "tlsport") == "" {
				s["port"] = "26379"
			}
			if s.tlsPort() != "" {
				f["tls"] = true
			}
			if host := s.text("host", "hostname", "address", "ip"); host != "" {
				addrs = append(addrs, s.address(host))
			}
		}
	}
	return addrs
}

func (f fields) failover(sentinels []string) *redis.UniversalOptions {
	return &redis.UniversalOptions{
		Addrs:            sentinels,
		MasterName:       f.master(),
		Username:         realUser(f.text("username", "user")),
		Password:         f.password(),
		SentinelUsername: realUser(f.text("sentinelusername")),
		SentinelPassword: f.text("sentinelpassword"),
		DB:               f.database(),
	}
}

// authority returns the PEM text of the certificate that the binding brings, in whichever form.
func (f fields) authority() string {
	text := f.text("cacertificatebase64", "certificatebase64", "cacertificate", "cacert", "tlsca",
		"sslca", "servercacert", "certificates", "cacrt", "ca", "certificate", "cert")
	if text == "" || strings.Contains(text, "-----BEGIN") {
		return text
	}
	decoded, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return text // settled where it is used: without TLS it does not matter
	}
	return string(decoded)
}
