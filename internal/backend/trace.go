package backend

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// Sent is what was sent to Redis on behalf of one request. It is safe for concurrent use. The greeting of a new
// connection is not in it: it is the connection's, but the time that it took is part of the request's.
type Sent struct {
	mu         sync.Mutex
	commands   [][]any
	roundTrips int
	first      time.Time // when the first command was ready to be sent
	last       time.Time // when the last one was answered
}

type sentKey struct{}

// Trace returns a context, and where the commands are noted that a [Backend]'s client sends with it.
func Trace(ctx context.Context) (context.Context, *Sent) {
	sent := new(Sent)
	return context.WithValue(ctx, sentKey{}, sent), sent
}

// RoundTrips returns how often something was sent: commands of a pipeline go together, and a command that was sent
// again, to another node or because its answer got lost, counts again.
func (s *Sent) RoundTrips() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.roundTrips
}

// Elapsed returns how long the request was busy with Redis, waiting for a connection included.
func (s *Sent) Elapsed() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.last.Sub(s.first)
}

// Commands returns what was sent, as one would type it in redis-cli, for people to read. A text among the arguments is
// "…", unless it is in plain; of a session's key and of a script's name the first characters are shown.
func (s *Sent) Commands(plain ...string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	commands := make([]string, len(s.commands))
	for i, args := range s.commands {
		commands[i] = describe(args, plain)
	}
	return commands
}

func (s *Sent) note(start time.Time, cmds []redis.Cmder, err error) {
	if errors.As(err, new(noConnection)) || errors.Is(err, redis.ErrPoolTimeout) {
		return // nothing was sent
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.first.IsZero() {
		s.first = start
	}
	s.last = time.Now()
	s.roundTrips++
	for _, cmd := range cmds {
		s.commands = append(s.commands, slices.Clone(cmd.Args())) // its maker may change it
	}
}

func describe(args []any, plain []string) string {
	name := strings.ToUpper(fmt.Sprint(args[0]))
	firstKey, keys := 1, 1
	if strings.HasPrefix(name, "EVAL") && len(args) > 2 { // NAME SCRIPT KEYS KEY...
		firstKey = 3
		keys, _ = args[2].(int)
	}
	words := []string{name}
	for i, arg := range args[1:] {
		position := i + 1
		word, ok := arg.(string)
		if !ok {
			word = fmt.Sprint(arg)
		}
		switch {
		case firstKey <= position && position < firstKey+keys:
			id := strings.LastIndex(word, ":") + 1
			word = word[:id] + Mask(word[id:])
		case name == "EVALSHA" && position == 1:
			word = Mask(word)
		case slices.Contains(plain, word):
			word = quoted(word)
		case word == "" || strings.Trim(strings.TrimPrefix(word, "-"), "0123456789") != "": // no number
			word = "…"
		}
		words = append(words, word)
	}
	return strings.Join(words, " ")
}

// quoted puts a text into quotation marks if it is not one word.
func quoted(text string) string {
	q := strconv.Quote(text)
	if text == "" || strings.Contains(text, " ") || len(q) > len(text)+2 {
		return q
	}
	return text
}

// Mask returns the start of a secret, enough to tell two apart and too little to use one: six characters and an
// ellipsis, or of a secret shorter than 13 the ellipsis alone. Of what is not ASCII it shows less, never half a character.
func Mask(secret string) string {
	const shown = 6
	if len(secret) <= 2*shown {
		return "…"
	}
	return strings.ToValidUTF8(secret[:shown], "") + "…"
}

// tracer notes what is sent where [Trace] has asked for it.
type tracer struct{ passThrough }

// ProcessHook notes a command.
func (tracer) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		sent, ok := ctx.Value(sentKey{}).(*Sent)
		if !ok || isGreeting(cmd) {
			return next(ctx, cmd)
		}
		start := time.Now()
		err := next(ctx, cmd)
		sent.note(start, []redis.Cmder{cmd}, err)
		return err
	}
}

// ProcessPipelineHook notes commands that are sent together.
func (tracer) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		sent, ok := ctx.Value(sentKey{}).(*Sent)
		if !ok || len(cmds) == 0 || isGreeting(cmds[0]) {
			return next(ctx, cmds)
		}
		start := time.Now()
		err := next(ctx, cmds)
		sent.note(start, cmds, err)
		return err
	}
}
