package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

const minSecretLength = 32

// secrets reads a comma-separated list.
func (l *loader) secrets(text string) (secrets [][]byte, err error) {
	var wrong []string
	for i, secret := range strings.Split(text, ",") {
		secret = strings.TrimSpace(secret)
		switch {
		case secret == "":
			wrong = append(wrong, fmt.Sprintf("secret number %d is empty: remove the extra comma", i+1))
		case utf8.RuneCountInString(secret) < minSecretLength:
			wrong = append(wrong, fmt.Sprintf("secret number %d is shorter than %d characters: make one with: openssl rand -hex 32", i+1, minSecretLength))
		case isSample(secret):
			wrong = append(wrong, fmt.Sprintf("secret number %d is a well-known sample: make one with: openssl rand -hex 32", i+1))
		case distinct(secret) < 8:
			l.warn("SESSION_SECRET: secret number %d is easy to guess; make one with: openssl rand -hex 32", i+1)
		}
		secrets = append(secrets, []byte(secret))
	}
	if len(wrong) > 0 {
		return nil, errors.New(strings.Join(wrong, "; "))
	}
	return secrets, nil
}

// isSample reports whether a secret comes from tutorials and templates, such as "keyboard cat" or "change-me", repeated or
// padded until it is long enough: it consists of the words below, digits, punctuation, and at most one other letter.
func isSample(secret string) bool {
	words := []string{ // longer ones first: "secret" must not break up "supersecret"
		"keyboardcat", "supersecret", "development", "placeholder", "production", "characters", "changethis",
		"replaceme", "something", "changeme", "insecure", "password", "minimum", "replace", "default",
		"example", "keyboard", "session", "private", "sample", "secret", "random", "string", "please", "secure", "enough",
		"change", "cookie", "super", "value", "shhhh", "chars", "least", "token", "your", "here", "this", "that", "with", "very",
		"long", "must", "only", "some", "bits", "bit", "key", "cat", "and", "not", "for", "the", "use", "now", "one",
		"at", "by", "do", "in", "is", "it", "me", "my", "of", "on", "or", "so", "to",
	}
	letters := strings.Map(func(c rune) rune {
		if unicode.IsLetter(c) {
			return unicode.ToLower(c)
		}
		return -1
	}, secret)
	rest := letters
	for _, word := range words {
		rest = strings.ReplaceAll(rest, word, "")
	}
	return rest != letters && distinct(rest) <= 1
}

// distinct counts the distinct characters in s.
func distinct(s string) int {
	chars := []rune(s)
	slices.Sort(chars)
	return len(slices.Compact(chars))
}
