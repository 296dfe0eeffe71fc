package redisstore

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// A Step is one more thing that an increment does.
type Step func(*increment) error

// And adds by to another counter of the session.
func And(counter string, by int64) Step {
	return func(op *increment) error {
		name, err := fieldName(counter)
		op.counters = append(op.counters, name, by)
		return err
	}
}

// Result says what an increment did.
type Result struct {
	Count     int64         // the first counter right after this increment, its own number among all increments
	Created   bool          // the increment created the session
	CreatedAt time.Time     // when the session was created, by the clock of Redis
	ExpiresIn time.Duration // how long the session lives if it is not used again

	fields map[string]string
}

// Counters returns the counters whose names start with prefix.
func (r Result) Counters(prefix string) (map[string]int64, error) {
	counters := make(map[string]int64)
	for name, text := range r.fields {
		if !strings.HasPrefix(name, prefix) || strings.HasPrefix(name, reserved) {
			continue
		}
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("%w: field %.40q is not a whole number", ErrCorrupt, name)
		}
		counters[name] = n
	}
	return counters, nil
}
