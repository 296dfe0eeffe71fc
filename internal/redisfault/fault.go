// Package redisfault says what keeps Redis from doing its work and what to do about it. It is the one place that knows
// what an error of the Redis client means: for the page, JSON, /readyz, the log, the doctor command and retries.
package redisfault

import (
	"errors"
	"strings"

	"github.com/redis/go-redis/v9"
)

// ask is what to do if only Redis knows more.
const ask = "Look at the log of Redis, and run the doctor command, which checks all that this app needs."

// Fault is a reason why Redis cannot be used. All its words are ours: an answer of Redis may repeat what it was sent,
// a key or a password, and an error of a library may hold an address with its password.
type Fault struct {
	// Code is short and the same for all faults of a kind: the code of Redis' answer ("NOPERM") if it has one.
	Code string
	// Wrong and Todo are sentences for everybody.
	Wrong, Todo string
	// Closes is true if Redis says it to a new connection and then closes that.
	Closes bool
	// Passes is true if the fault may be over in a moment without anybody's doing, so that another try is worth it.
	Passes bool
}

// Error returns what is wrong: a Fault can take the place of the error that it explains.
func (f Fault) Error() string { return f.Wrong }

// Explain says what an error of the Redis client means, or one that wraps it, as those of the store do. It must not be nil.
func Explain(err error) Fault {
	if known, ok := errors.AsType[Fault](err); ok {
		return known
	}
	for _, row := range faults {
		if row.is(err) {
			return row.Fault
		}
	}
	if answer := replyOf(err); answer != "" {
		return unknownReply(answer)
	}
	return Fault{
		Code:   "unknown",
		Wrong:  "Redis cannot be used, for a reason that this app does not know.",
		Todo:   ask,
		Passes: true,
	}
}

// replyOf returns Redis' answer, without "ERR", or "" if the error is none.
func replyOf(err error) string {
	reply, ok := errors.AsType[redis.Error](err)
	if !ok {
		return ""
	}
	return strings.TrimPrefix(reply.Error(), "ERR ")
}

// unknownReply explains an answer that is in no row. Only its code may be shown, if it has one.
func unknownReply(answer string) Fault {
	const maxLength = 16
	code, _, _ := strings.Cut(answer, " ")
	if code == "" || len(code) > maxLength || strings.Trim(code, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" {
		code = "ERR"
	}
	return Fault{
		Code:  code,
		Wrong: "Redis refuses a command of this app (" + code + ").",
		Todo:  ask,
	}
}
