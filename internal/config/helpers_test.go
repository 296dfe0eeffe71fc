package config

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// environment returns a loader that reads these variables, and dotenv in place of the file .env.
func environment(values, dotenv map[string]string) *loader {
	l := newLoader(func(name string) string { return values[name] })
	l.dotenv = dotenv
	return l
}

func load(t *testing.T, l *loader) Config {
	t.Helper()
	c, err := l.load()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// writeFile writes a file and the folders above it.
func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func dump(c Config) string { return fmt.Sprintf("%+v", c) }
