package config

import (
	"fmt"
	"testing"
)

// environment returns an Environment of these variables, on a host named "host".
func environment(values, dotenv map[string]string) Environment {
	return Environment{
		Getenv:   func(name string) string { return values[name] },
		Dotenv:   dotenv,
		Hostname: func() (string, error) { return "host", nil },
	}
}

func load(t *testing.T, env Environment) Config {
	t.Helper()
	c, err := Load(env)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func dump(c Config) string { return fmt.Sprintf("%+v", c) }
