package config

import (
	"slices"
	"strings"
	"unicode"
)

// isSample reports whether a secret is one that tutorials and templates print, such as
// "keyboard cat" or "change-me", repeated or padded until it is long enough: it consists of the
// words below, digits, punctuation, and at most one other character.
func isSample(secret string) bool {
	words := []string{ // longer ones first: "secret" must not break up "supersecret"
		"keyboardcat", "supersecret", "development", "placeholder", "production", "changethis",
		"replaceme", "something", "changeme", "insecure", "password", "replace", "default",
		"example", "keyboard", "session", "sample", "secret", "random", "string", "please",
		"change", "cookie", "super", "value", "shhhh", "your", "here", "this", "with", "very",
		"long", "some", "key", "cat", "and", "not", "for", "the", "my", "me",
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

// distinct counts the different characters of s.
func distinct(s string) int {
	chars := []rune(s)
	slices.Sort(chars)
	return len(slices.Compact(chars))
}
