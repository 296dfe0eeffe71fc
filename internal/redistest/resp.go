package redistest

import (
	"bufio"
	"errors"
	"io"
	"strconv"
	"strings"
)

// errNotRESP reports that a connection speaks something else, such as TLS.
var errNotRESP = errors.New("not the Redis protocol")

// recorder reads from r and keeps all the bytes it read.
type recorder struct {
	r   *bufio.Reader
	raw []byte
}

// line reads up to the end of the line and returns it without that.
func (r *recorder) line() (string, error) {
	b, err := r.r.ReadBytes('\n')
	r.raw = append(r.raw, b...)
	return strings.TrimRight(string(b), "\r\n"), err
}

// bulk reads n bytes and the end of the line.
func (r *recorder) bulk(n int) (string, error) {
	start := len(r.raw)
	r.raw = append(r.raw, make([]byte, n+2)...)
	_, err := io.ReadFull(r.r, r.raw[start:])
	return string(r.raw[start : start+n]), err
}

// number parses the rest of a line after its type, such as 3 in "*3".
func number(line string) (int, error) {
	if line == "" {
		return 0, errNotRESP
	}
	n, err := strconv.Atoi(line[1:])
	if err != nil {
		return 0, errNotRESP
	}
	return n, nil
}

// readRequest reads one command: its arguments, and the bytes it came in.
func readRequest(from *bufio.Reader) (args []string, raw []byte, err error) {
	first, err := from.Peek(1)
	if err != nil {
		return nil, nil, err
	}
	r := &recorder{r: from}
	switch c := first[0]; {
	case c == '*':
		args, err = r.request()
	case c >= ' ' && c <= '~' || c == '\r' || c == '\n':
		var line string
		line, err = r.line()
		args = strings.Fields(line)
	default:
		err = errNotRESP
	}
	return args, r.raw, err
}

// request reads a command as clients send it: an array of bulk strings.
func (r *recorder) request() ([]string, error) {
	line, err := r.line()
	if err != nil {
		return nil, err
	}
	count, err := number(line)
	if err != nil {
		return nil, err
	}
	var args []string
	for range count {
		line, err := r.line()
		if err != nil {
			return nil, err
		}
		n, err := number(line)
		if err != nil || n < 0 {
			return nil, errNotRESP
		}
		arg, err := r.bulk(n)
		if err != nil {
			return nil, err
		}
		args = append(args, arg)
	}
	return args, nil
}

// readReply reads one whole reply or push message of RESP2 or RESP3 and returns its bytes.
func readReply(from *bufio.Reader) ([]byte, error) {
	r := &recorder{r: from}
	err := r.value()
	return r.raw, err
}

// value reads one value with all it contains.
func (r *recorder) value() error {
	line, err := r.line()
	if err != nil {
		return err
	}
	if line == "" || strings.IndexByte("+-:_,#(", line[0]) >= 0 {
		return nil
	}
	n, err := number(line)
	if err != nil {
		return err
	}
	switch line[0] {
	case '$', '=', '!':
		if n < 0 {
			return nil
		}
		_, err = r.bulk(n)
		return err
	case '%':
		return r.values(2 * n)
	case '|': // attributes belong to the value that follows
		return r.values(2*n + 1)
	}
	return r.values(n)
}

// values reads the n elements of an aggregate; the null array has -1 of them.
func (r *recorder) values(n int) error {
	for range n {
		if err := r.value(); err != nil {
			return err
		}
	}
	return nil
}
