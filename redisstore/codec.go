package redisstore

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strconv"
	"strings"
	"unicode/utf8"
)

// encode returns v as the JSON text of one field.
func encode(v any) (string, error) {
	switch v := v.(type) {
	case int:
		return strconv.Itoa(v), nil
	case int64:
		return strconv.FormatInt(v, 10), nil
	case bool:
		return strconv.FormatBool(v), nil
	}
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false) // the text is for redis-cli, not for a page
	if err := enc.Encode(v); err != nil {
		return "", fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	text := strings.TrimSuffix(buf.String(), "\n")
	if !utf8.ValidString(text) || replacedBytes(text) {
		return "", fmt.Errorf("%w: a text is not UTF-8, which JSON cannot hold", ErrInvalid)
	}
	if isFloat(v) && isDigits(strings.TrimPrefix(text, "-")) {
		text += ".0" // so that it comes back as a float64
	}
	return text, nil
}

// replacedBytes reports whether encoding/json has put the escape \ufffd in place of bytes that are not UTF-8.
// A genuine U+FFFD is written as itself, and a backslash in a text is doubled.
func replacedBytes(text string) bool {
	for {
		i := strings.Index(text, `\ufffd`)
		if i < 0 {
			return false
		}
		before := text[:i]
		if backslashes := len(before) - len(strings.TrimRight(before, `\`)); backslashes%2 == 0 {
			return true
		}
		text = text[i+1:]
	}
}

func isFloat(v any) bool {
	rv := reflect.ValueOf(v)
	for rv.Kind() == reflect.Pointer && !rv.IsNil() {
		rv = rv.Elem()
	}
	return rv.CanFloat()
}

// decode returns the value of a field's JSON text; every failure is an [ErrCorrupt].
func decode(text string) (any, error) {
	if n, ok := count(text); ok {
		return n, nil
	}
	if !utf8.ValidString(text) {
		return nil, fmt.Errorf("%w: a field is not UTF-8", ErrCorrupt)
	}
	dec := json.NewDecoder(strings.NewReader(text))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return nil, fmt.Errorf("%w: a field is not JSON", ErrCorrupt)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%w: a field is more than one JSON value", ErrCorrupt)
	}
	return withNumbers(v), nil
}

// count is the short way for what most fields are: a whole number of few digits.
func count(text string) (n int, ok bool) {
	if text == "" || len(text) > 18 || !isDigits(text) || text[0] == '0' && len(text) > 1 {
		return 0, false
	}
	n, err := strconv.Atoi(text)
	return n, err == nil
}

func isDigits(text string) bool {
	for i := range len(text) {
		if text[i] < '0' || text[i] > '9' {
			return false
		}
	}
	return true
}

// withNumbers replaces every json.Number in v: whole numbers stay whole numbers.
func withNumbers(v any) any {
	switch v := v.(type) {
	case json.Number:
		return number(v)
	case []any:
		for i := range v {
			v[i] = withNumbers(v[i])
		}
	case map[string]any:
		for k := range v {
			v[k] = withNumbers(v[k])
		}
	}
	return v
}

// number returns an int for whole numbers that fit into one and a float64 for those with a point or an
// exponent; a number that fits into neither keeps its digits as a json.Number.
func number(n json.Number) any {
	if !strings.ContainsAny(n.String(), ".eE") {
		if i, err := strconv.Atoi(n.String()); err == nil {
			return i
		}
		return n
	}
	f, err := n.Float64()
	if err != nil {
		return n
	}
	return f
}

// unchanged reports whether the texts mean the same value, although other programs may write it with other
// blanks or in another order.
func unchanged(text, stored string) bool {
	if text == stored {
		return true
	}
	v, err := decode(stored)
	if err != nil {
		return false
	}
	canonical, err := encode(v)
	return err == nil && canonical == text
}

// fieldName returns key as the name of a field, or an error where it cannot be one.
func fieldName(key any) (string, error) {
	name, ok := key.(string)
	switch {
	case !ok:
		return "", fmt.Errorf("%w: a session's keys are strings, not %T", ErrInvalid, key)
	case name == "" || strings.HasPrefix(name, reserved):
		return "", fmt.Errorf("%w: a session's keys are not empty and do not start with %s", ErrInvalid, reserved)
	case strings.Contains(name, separator) || !utf8.ValidString(name):
		return "", fmt.Errorf("%w: a session's keys are UTF-8 without NUL", ErrInvalid)
	}
	return name, nil
}
