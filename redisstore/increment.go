package redisstore

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gin-contrib/sessions"
	"github.com/gin-gonic/gin"
	gsessions "github.com/gorilla/sessions"
)

// A Step is one more thing that an increment does in its round trip. It may be made once and used for any number of
// increments, at the same time too; what is wrong with it is an [ErrInvalid] of each of them.
type Step func(*increment) error

// increment is what one call of Increment asks for.
type increment struct {
	command []any // of the script, whose arguments increment.lua explains
}

// Where the parts of an increment's command are.
const (
	keyAt      = commandHead
	foldAt     = keyAt + 8  // prefix, rows, sum, folded
	countersAt = foldAt + 4 // name, delta, name, delta, ...
)

// newIncrement returns an increment without a fold, and with room for the counters of steps.
func newIncrement(counter string, by int64, steps int) *increment {
	command := make([]any, countersAt, countersAt+2+2*steps)
	incrementScript.name(command, 1)
	copy(command[foldAt:], []any{"", 0, "", ""})
	return &increment{append(command, counter, by)}
}

func (op *increment) counters() []any { return op.command[countersAt:] }

// And adds by to another counter of the session.
func And(counter string, by int64) Step {
	name, err := fieldName(counter)
	pair := []any{name, by}
	return func(op *increment) error {
		op.command = append(op.command, pair...)
		return err
	}
}

// Fold keeps the counters whose names start with prefix to at most rows. When an increment creates one more,
// those whose names sort first are removed, except the increment's own: what they counted is added to the
// counter sum, and how many they were to the counter folded. Nothing that was counted is lost, and the session
// stays small. Of several folds in one increment, the last is done.
func Fold(prefix string, rows int, sum, folded string) Step {
	fold, err := []any{prefix, rows, sum, folded}, checkFold(prefix, rows, sum, folded)
	return func(op *increment) error {
		copy(op.command[foldAt:], fold)
		return err
	}
}

func checkFold(prefix string, rows int, sum, folded string) error {
	for _, name := range []string{prefix, sum, folded} {
		if _, err := fieldName(name); err != nil {
			return err
		}
	}
	if rows < 1 {
		return fmt.Errorf("%w: cannot fold to %d rows", ErrInvalid, rows)
	}
	if sum == folded || strings.HasPrefix(sum, prefix) || strings.HasPrefix(folded, prefix) {
		return fmt.Errorf("%w: the counters of a fold are themselves folded", ErrInvalid)
	}
	return nil
}

// Result tells what an increment did.
type Result struct {
	// Count is what the first counter was right after this increment, its own number among all increments.
	Count int64
	// Created is true if the increment created the session.
	Created bool
	// CreatedAt is when the session was created, by the clock of Redis.
	CreatedAt time.Time
	// ExpiresIn is how long the session lives if it is not used again.
	ExpiresIn time.Duration
	// RoundTrips is how many commands the increment took: one, as a rule. A cookie whose session is gone and a
	// script that Redis has forgotten cost one more each. A load before it and the shared secret are not in it.
	RoundTrips int
	// Elapsed is how long they took together, waiting in line and for a connection included.
	Elapsed time.Duration

	key    string // masked
	args   []any
	fields map[string]string
}

// Counter returns a counter of the session as this increment left it, 0 if there is none. It is an [ErrCorrupt] if the
// field is not a whole number.
func (r Result) Counter(name string) (int64, error) {
	text, ok := r.fields[name]
	if !ok || strings.HasPrefix(name, reserved) {
		return 0, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%w: field %.40q is not a whole number", ErrCorrupt, name)
	}
	return n, nil
}

// Counters returns all counters of the session whose names start with prefix, as this increment left them. It is an
// [ErrCorrupt] if one of these fields is not a whole number.
func (r Result) Counters(prefix string) (map[string]int64, error) {
	counters := make(map[string]int64)
	for name := range r.fields {
		if !strings.HasPrefix(name, prefix) || strings.HasPrefix(name, reserved) {
			continue
		}
		n, err := r.Counter(name)
		if err != nil {
			return nil, err
		}
		counters[name] = n
	}
	return counters, nil
}

// Command returns the command that did it, as one would type it in redis-cli, with all but the first characters
// of the session id and of the script's name left out: for people to read, not for machines to repeat.
func (r Result) Command() string {
	if r.key == "" {
		return ""
	}
	b := append(make([]byte, 0, 512), "EVALSHA "...)
	b = append(append(append(b, Mask(incrementScript.hash)...), " 1 "...), r.key...)
	for _, arg := range r.args {
		b = append(b, ' ')
		text, ok := arg.(string)
		if !ok { // a number
			b = fmt.Append(b, arg)
			continue
		}
		start := len(b)
		b = strconv.AppendQuote(b, text)
		if text != "" && !strings.Contains(text, " ") && len(b) == start+len(text)+2 {
			b = append(b[:start], text...)
		}
	}
	return string(b)
}

// Key returns the session's key in Redis, with all but the first characters of the session id left out.
func (r Result) Key() string { return r.key }

// Mask returns the start of a secret, enough to tell two apart and too little to use one: six characters and an
// ellipsis, or of a secret shorter than 13 the ellipsis alone. Of what is not ASCII it shows less, never half a character.
func Mask(secret string) string {
	if len(secret) <= 2*masked {
		return "…"
	}
	return strings.ToValidUTF8(secret[:masked], "") + "…"
}

const masked = 6

// Increment adds by to a counter of the request's default session, atomically, and renews the session: load,
// addition and renewal are one command, and [sessions.Default] sees the result. A session that does not exist
// yet is created, under a new id. The cookie is set, so call it before the body is written; no Save is needed for it.
// What the request has set or deleted before stays so, and is still to be saved; only the counters are as in Redis.
//
// Any number of concurrent increments count exactly once each; of one session, a store has four under way at once,
// and the others wait in line, as long as their request's context lasts. An increment whose reply was lost may be
// repeated by the Redis client: it counts once, and the repetition returns the counters as the first execution left
// them, beside the other fields as they are by then.
//
// Errors: [ErrUnavailable], [ErrCorrupt], [ErrOverflow], [ErrTooLarge], [ErrInvalid]; and [ErrGone], only if the
// session was loaded before in this request and has been destroyed since. No cookie is set then.
func Increment(c *gin.Context, counter string, by int64, more ...Step) (Result, error) {
	return incrementSession(c.Writer, c.Request, counter, by, more, ofGin(c))
}

// Increment is the function [Increment] for programs without gin: it does the same to the session of that name.
func (s *Store) Increment(w http.ResponseWriter, r *http.Request, name, counter string, by int64, more ...Step) (Result, error) {
	return incrementSession(w, r, counter, by, more, s.of(r, name))
}

// A getter returns a request's session, loading it at the first call. The error of a load is in the record.
type getter func() *gsessions.Session

func (s *Store) of(r *http.Request, name string) getter {
	return func() *gsessions.Session {
		session, _ := s.Get(r, name)
		return session
	}
}

// ofGin gets the default session of gin-contrib/sessions.
func ofGin(c *gin.Context) getter {
	return func() *gsessions.Session {
		session, _ := c.Get(sessions.DefaultKey) // nil without the middleware
		wrapper, ok := session.(interface{ Session() *gsessions.Session })
		if !ok {
			return gsessions.NewSession(nil, "") // not one of ours
		}
		return wrapper.Session()
	}
}

func incrementSession(w http.ResponseWriter, r *http.Request, counter string, by int64, more []Step, get getter) (Result, error) {
	name, err := fieldName(counter)
	if err != nil {
		return Result{}, err
	}
	op := newIncrement(name, by, len(more))
	for _, step := range more {
		if step == nil {
			return Result{}, fmt.Errorf("%w: a step is nil", ErrInvalid)
		}
		if err := step(op); err != nil {
			return Result{}, err
		}
	}
	rec, err := operate(r, get, op.load, op.add)
	if err != nil {
		return Result{}, err
	}
	if err := rec.setCookie(r.Context(), w, rec.result.ExpiresIn); err != nil {
		return Result{}, err
	}
	return rec.result, nil
}

// operate does an operation on a request's session: in place of the load where the session is not loaded yet,
// else on the loaded session.
func operate(r *http.Request, get getter, instead, after func(context.Context, *record) error) (*record, error) {
	st := stateOf(r)
	st.operation = instead
	session := get()
	waiting := st.take() != nil
	if session == nil { // gorilla/sessions has refused the name, and nothing else
		return nil, fmt.Errorf("%w: not the name of a cookie", ErrInvalid)
	}
	rec, err := recordOf(session)
	if err != nil {
		return nil, err
	}
	if rec.err == nil && waiting {
		return rec, after(r.Context(), rec)
	}
	return rec, rec.err
}

// load is the load of a session that is incremented by it.
func (op *increment) load(ctx context.Context, rec *record) error {
	rec.result = Result{}
	if rec.id != "" {
		err := op.run(ctx, rec)
		if !errors.Is(err, ErrGone) {
			return err
		}
		if err := rec.gone(ctx); err != nil {
			return err
		}
	}
	return op.create(ctx, rec)
}

// add increments a session that is loaded.
func (op *increment) add(ctx context.Context, rec *record) error {
	rec.result = Result{}
	if rec.id == "" {
		return op.create(ctx, rec)
	}
	return op.run(ctx, rec)
}

func (op *increment) create(ctx context.Context, rec *record) error {
	if _, err := rec.store.secrets.ring(ctx, rec.store); err != nil { // before anything is written
		return err
	}
	rec.id, rec.result.Created = newID(), true
	if err := op.run(ctx, rec); err != nil {
		rec.id = ""
		return err
	}
	return nil
}

// run sends the increment for the session rec.id, and takes over what Redis answers.
func (op *increment) run(ctx context.Context, rec *record) error {
	write, remove, err := rec.changes() // an unsaved value that cannot be stored shows before anything is written
	if err != nil {
		return err
	}
	s, id, create := rec.store, rec.id, "0"
	if rec.result.Created {
		create = "1"
	}
	start := time.Now()
	number, floor, err := s.inflight.begin(ctx, id)
	if err != nil {
		return classify(err)
	}
	defer s.inflight.end(id, number)
	copy(op.command[keyAt:], []any{
		s.key(id), create, s.ttlOf(rec.session).Milliseconds(), s.maxLifetime.Milliseconds(), s.maxBytes,
		s.sender, number, floor,
	})
	answer, commands, err := s.run(ctx, incrementScript, op.command)
	rec.result.Elapsed += time.Since(start)
	rec.result.RoundTrips += commands
	if err != nil {
		return err
	}
	rec.result.key, rec.result.args = s.key(Mask(id)), op.command[keyAt+1:]
	before := rec.session.Values
	if rec.err = op.take(rec, answer); rec.err != nil {
		return rec.err
	}
	op.restore(rec, before, write, remove)
	return nil
}

// take fills the session with what Redis answered: the milliseconds to live, the number of fields, and name and
// text of each. Fields that do not add up, because a NUL is in them, are foreign.
func (op *increment) take(rec *record, answer []string) (err error) {
	if len(answer) < 2 || answer[1] != strconv.Itoa(len(answer)/2-1) || len(answer)%2 != 0 {
		return fmt.Errorf("%w: a field contains NUL", ErrCorrupt)
	}
	if rec.result.ExpiresIn, err = milliseconds(answer[0]); err != nil {
		return err
	}
	fields := make(map[string]string, len(answer)/2)
	for i := 2; i < len(answer); i += 2 {
		fields[answer[i]] = answer[i+1]
	}
	if rec.result.CreatedAt, err = createdAt(fields); err != nil {
		return err
	}
	if rec.result.Count, err = strconv.ParseInt(fields[op.counters()[0].(string)], 10, 64); err != nil {
		return fmt.Errorf("%w: a counter is not a whole number", ErrCorrupt)
	}
	rec.result.fields = fields
	return rec.fill(fields)
}

// restore puts back what the request had changed and not saved, except the counters.
func (op *increment) restore(rec *record, before map[any]any, write, remove []string) {
	changed := remove
	for i := 0; i < len(write); i += 2 {
		changed = append(changed, write[i])
	}
	for _, name := range changed {
		if slices.Contains(op.counters(), any(name)) {
			continue
		}
		if value, ok := before[name]; ok {
			rec.session.Values[name] = value
		} else {
			delete(rec.session.Values, name)
		}
	}
}
