package redisstore

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"
)

// isNil reports whether there is no client, or a nil pointer in a client's place.
func isNil(rdb redis.UniversalClient) bool {
	v := reflect.ValueOf(rdb)
	return !v.IsValid() || v.Kind() == reflect.Pointer && v.IsNil()
}

// honoursDeadlines reports whether a client ends its commands at their context's deadline by itself.
func honoursDeadlines(rdb redis.UniversalClient) bool {
	switch c := rdb.(type) {
	case *redis.Client:
		return c.Options().ContextTimeoutEnabled
	case *redis.ClusterClient:
		return c.Options().ContextTimeoutEnabled
	case *redis.Ring:
		return c.Options().ContextTimeoutEnabled
	}
	return false
}

// do returns what f returns, with its error classified, but returns at ctx's end: f may still be running then. Where
// ctx has a deadline to which the client sees itself, a goroutine for each command would cost more than it gains: f
// ends by then, although a client that waits for a reply does not notice that ctx was cancelled before.
func do[T any](ctx context.Context, s *Store, f func() (T, error)) (T, error) {
	var none T
	if err := ctx.Err(); err != nil {
		return none, classify(err)
	}
	_, limited := ctx.Deadline()
	if s.deadlines && limited || ctx.Done() == nil {
		v, err := f()
		return v, classify(err)
	}
	type result struct {
		v   T
		err error
	}
	done := make(chan result, 1)
	go func() {
		v, err := f()
		done <- result{v, err}
	}()
	select {
	case r := <-done:
		return r.v, classify(r.err)
	case <-ctx.Done():
		return none, classify(ctx.Err())
	}
}

// script is one of the store's scripts.
type script struct {
	source string
	hash   string // SHA-1 in hexadecimal digits, by which Redis knows it
}

func newScript(source string) *script { return &script{source, redis.NewScript(source).Hash()} }

// commandHead is how many parts of a script's command come before its keys.
const commandHead = 3

// name puts into the head of a command which script it runs, with how many keys.
func (s *script) name(command []any, keys int) {
	command[0], command[1], command[2] = "evalsha", s.hash, keys
}

// command returns the command that runs the script.
func (s *script) command(keys []string, args ...any) []any {
	command := make([]any, commandHead, commandHead+len(keys)+len(args))
	s.name(command, len(keys))
	for _, key := range keys {
		command = append(command, key)
	}
	return append(command, args...)
}

// withSource returns the same command for a Redis that does not have the script yet.
func (s *script) withSource(command []any) []any {
	command = slices.Clone(command)
	command[0], command[1] = "eval", s.source
	return command
}

// scriptReply is a script's answer, and how many commands it took.
type scriptReply struct {
	text     string
	commands int
}

// run runs a script by its command and returns the parts of its answer after the "OK", and how many commands it took:
// one, or two when Redis did not have the script yet.
func (s *Store) run(ctx context.Context, script *script, command []any) (answer []string, commands int, err error) {
	reply, err := do(ctx, s, func() (scriptReply, error) {
		cmd, commands := s.rdb.Do(ctx, command...), 1
		if err := cmd.Err(); err != nil && redis.HasErrorPrefix(err, "NOSCRIPT") {
			cmd, commands = s.rdb.Do(ctx, script.withSource(command)...), 2
		}
		text, err := cmd.Text()
		return scriptReply{text, commands}, err
	})
	if err != nil {
		return nil, max(reply.commands, 1), err
	}
	answer, err = parse(reply.text)
	return answer, reply.commands, err
}

// parse returns the parts of a script's answer after the "OK", or the error that it stands for.
func parse(text string) ([]string, error) {
	answer := strings.Split(text, separator)
	status, about := answer[0], ""
	if len(answer) > 1 {
		about = answer[1]
	}
	switch status {
	case "OK":
		return answer[1:], nil
	case "GONE":
		return nil, ErrGone
	case "LATE":
		return nil, fmt.Errorf("%w: a repetition came too late", ErrUnavailable)
	case "TOOLARGE":
		return nil, ErrTooLarge
	case "OVERFLOW":
		return nil, fmt.Errorf("%w: field %.40q", ErrOverflow, about)
	case "CORRUPT":
		return nil, fmt.Errorf("%w: field %.40q", ErrCorrupt, about)
	}
	return nil, fmt.Errorf("%w: a script's answer is not understood", ErrUnavailable)
}
