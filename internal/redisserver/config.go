package redisserver

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// configFile is the generated configuration. It is a file, not arguments, because the password must not be
// seen by ps and because Sentinel and CONFIG REWRITE write to it.
func (s *Server) configFile() string { return filepath.Join(s.dir, "server.conf") }

// writeConfig writes the configuration for the present port.
func (s *Server) writeConfig() error {
	text := strings.Join(s.configLines(), "\n") + "\n"
	return os.WriteFile(s.configFile(), []byte(text), 0o600)
}

func (s *Server) configLines() []string {
	o := s.opts
	lines := []string{"bind 127.0.0.1", "dir " + quote(s.dir), `save ""`}
	if o.TLS == nil {
		lines = append(lines, fmt.Sprintf("port %d", s.port.Number))
	} else {
		lines = append(lines, "port 0", fmt.Sprintf("tls-port %d", s.port.Number), "tls-auth-clients no",
			"tls-cert-file "+quote(o.TLS.CertFile), "tls-key-file "+quote(o.TLS.KeyFile))
		if o.TLS.CAFile != "" {
			lines = append(lines, "tls-ca-cert-file "+quote(o.TLS.CAFile))
		}
	}
	if o.AppendOnly {
		lines = append(lines, "appendonly yes")
	}
	if o.Fsync != "" {
		lines = append(lines, "appendfsync "+quote(o.Fsync))
	}
	if o.Password != "" {
		lines = append(lines, "requirepass "+quote(o.Password))
	}
	return append(lines, o.Config...)
}

// quote writes s the way redis.conf reads any bytes: in double quotes, with what is not plain escaped.
func quote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b.WriteByte('\\')
			b.WriteByte(c)
		case c < ' ' || c > '~':
			fmt.Fprintf(&b, `\x%02x`, c)
		default:
			b.WriteByte(c)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// redact removes the password from text, as it is and as server.conf spells it.
func (s *Server) redact(text string) string {
	if s.opts.Password == "" {
		return text
	}
	return strings.NewReplacer(quote(s.opts.Password), "***", s.opts.Password, "***").Replace(text)
}
