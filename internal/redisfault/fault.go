// Package redisfault explains the errors of the Redis client: what is wrong and what to do about it. It is the only place
// that knows what they mean: for the page, JSON, /readyz, the log, the doctor command and retries.
package redisfault

import (
	"errors"
	"strings"

	"github.com/redis/go-redis/v9"
)

// ask is the advice if only Redis knows more.
const ask = "Look at the log of Redis, and run the doctor command, which checks all that this app needs."

// Fault is a reason why Redis cannot be used. It never quotes Redis or a library: an answer of Redis may repeat a key or a
// password that it was sent, and an error of a library may contain an address with its password.
type Fault struct {
	// Code is short and the same for all faults of a kind: the code of Redis' answer ("NOPERM") if it has one.
	Code string
	// Wrong and Todo are complete sentences that any visitor may read.
	Wrong, Todo string
	// Closes is true if Redis answers a new connection with the fault and then closes the connection.
	Closes bool
	// Passes is true if the fault may end by itself in a moment, so that a retry is worthwhile.
	Passes bool
}

// Error returns what is wrong, so that a Fault can replace the error that it explains.
func (f Fault) Error() string { return f.Wrong }

// Explain says what an error means that is, or wraps, an error of the Redis client. err must not be nil.
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

// replyOf returns the answer of Redis without "ERR", or "" if the error is not an answer.
func replyOf(err error) string {
	reply, ok := errors.AsType[redis.Error](err)
	if !ok {
		return ""
	}
	return strings.TrimPrefix(reply.Error(), "ERR ")
}

// unknownReply explains an answer that is not in the table. Only its code may be shown, if it has one.
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
