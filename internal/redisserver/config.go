package redisserver

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Options say how the server runs. The zero value is a server without a password and without persistence.
type Options struct {
	// AppendOnly makes the server keep writes in a file: a write that was answered survives Kill and Restart, though perhaps
	// not a crash of this machine. Without it the server is empty after each start, because it never writes snapshots.
	AppendOnly bool
	// Password is the password of the default user. It goes into a file of mode 0600, never on a command line.
	Password string
	// TLS, if not nil, makes the server speak only TLS.
	TLS *TLS
	// Config holds further lines of redis.conf. They override the lines made from the fields above.
	Config []string
	// Args are further command-line arguments, such as "--sentinel". They follow the configuration file.
	Args []string
}

// TLS names the PEM files of a server that speaks TLS. Clients need no certificate.
type TLS struct {
	CertFile, KeyFile, CAFile string
}

// configFile returns the path of the generated configuration. The configuration is a file, not arguments, because ps must not
// show the password, and because Sentinel and CONFIG REWRITE write to it.
func (s *Server) configFile() string { return filepath.Join(s.dir, "server.conf") }

// writeConfig writes the configuration file.
func (s *Server) writeConfig() error {
	o := s.opts
	lines := []string{"bind 127.0.0.1", "dir " + quote(s.dir), `save ""`}
	if o.TLS == nil {
		lines = append(lines, fmt.Sprintf("port %d", s.port.Number))
	} else {
		lines = append(lines, "port 0", fmt.Sprintf("tls-port %d", s.port.Number), "tls-auth-clients no",
			"tls-cert-file "+quote(o.TLS.CertFile), "tls-key-file "+quote(o.TLS.KeyFile), "tls-ca-cert-file "+quote(o.TLS.CAFile))
	}
	if o.AppendOnly {
		// Not everysec, the default: Redis would delay writes while an fsync is under way, and Kill would lose them.
		lines = append(lines, "appendonly yes", "appendfsync no")
	}
	if o.Password != "" {
		lines = append(lines, "requirepass "+quote(o.Password))
	}
	lines = append(lines, o.Config...)
	return os.WriteFile(s.configFile(), []byte(strings.Join(lines, "\n")+"\n"), 0o600)
}

// quote writes s with hex escapes, so that redis.conf accepts any bytes.
func quote(s string) string {
	var b strings.Builder
	for i := range len(s) {
		fmt.Fprintf(&b, `\x%02x`, s[i])
	}
	return `"` + b.String() + `"`
}

// redact removes the password from text, both in plain form and as the configuration quotes it.
func (s *Server) redact(text string) string {
	if s.opts.Password == "" {
		return text
	}
	return strings.NewReplacer(quote(s.opts.Password), "***", s.opts.Password, "***").Replace(text)
}
