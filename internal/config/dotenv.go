package config

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/joho/godotenv"
)

// ReadDotenv parses the file at path as godotenv does. A missing file is normal: it returns
// nil, nil. The error of a broken one names the file and the line and nothing that the line holds.
func ReadDotenv(path string) (map[string]string, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read environment file: %w", err)
	}
	text = bytes.TrimPrefix(text, []byte("\ufeff")) // some editors put one at the start
	values, ok := parseDotenv(text)
	if !ok {
		return nil, fmt.Errorf("%s, line %d: not in the form NAME=value; "+
			"a value with spaces, quotes or # belongs in quotation marks", path, brokenLine(text))
	}
	return values, nil
}

// parseDotenv reports false for a text that godotenv refuses, and for the one mistake that it
// accepts: a line without a name.
func parseDotenv(text []byte) (map[string]string, bool) {
	values, err := godotenv.UnmarshalBytes(append(bytes.Clone(text), '\n'))
	_, nameless := values[""]
	return values, err == nil && !nameless
}

// brokenLine returns the number of the line in which the first broken statement of text starts:
// the one after the longest run of whole lines that parses. godotenv itself does not say, and its
// errors quote the text.
func brokenLine(text []byte) int {
	good, end := 0, 0
	for i, line := range bytes.SplitAfter(text, []byte("\n")) {
		end += len(line)
		if _, ok := parseDotenv(text[:end]); ok {
			good = i + 1
		}
	}
	return good + 1
}
