package config

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/joho/godotenv"
)

// readDotenv parses the file at path as godotenv does, except that a $ without a brace is literal. For a missing file,
// which is normal, it returns nil, nil. The error for an invalid file names the file and the line, and quotes no text.
func readDotenv(path string) (map[string]string, error) {
	text, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, errors.New(path + ": cannot be read: make it a readable file, or remove it")
	case bytes.IndexByte(text, 0) >= 0:
		return nil, errors.New(path + ": is not UTF-8 but probably UTF-16, which PowerShell writes: save it as UTF-8")
	}
	text = bytes.TrimPrefix(text, []byte("\ufeff")) // a byte order mark, which some editors write
	values, ok := parseDotenv(text)
	if !ok {
		return nil, fmt.Errorf("%s, line %d: must have the form NAME=value; "+
			"put a value with spaces, quotes or # in quotation marks", path, brokenLine(text))
	}
	return values, nil
}

// dollar hides each literal $ from godotenv, which would silently replace $ABC in a password with another variable, or
// with nothing. readDotenv refuses text that contains this character.
const dollar = "\x00"

var hideDollars = strings.NewReplacer(`\$`, `\$`, "${", "${", "$", dollar)

// parseDotenv returns false for text that godotenv refuses, and for the one mistake that godotenv accepts: a line without a
// name.
func parseDotenv(text []byte) (map[string]string, bool) {
	values, err := godotenv.Unmarshal(hideDollars.Replace(string(text)) + "\n")
	for name, value := range values {
		values[name] = strings.ReplaceAll(value, dollar, "$")
	}
	_, nameless := values[""]
	return values, err == nil && !nameless
}

// brokenLine returns the number of the line in which the first broken statement of text starts: the one after the
// longest run of complete lines that parses. godotenv does not report the line, and its errors quote the text.
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
