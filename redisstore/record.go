package redisstore

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	gsessions "github.com/gorilla/sessions"
)

// state is what the store keeps in the context of one request.
type state struct {
	// operation, if set, is done by the next load in the load's place.
	operation func(context.Context, *record) error
	records   []*record
	room      [1]*record
}

type stateKey struct{}

// stateOf returns the state of the request, which it puts into the request's context at the first call, in
// place, as gorilla/sessions does with its registry: gin-contrib/sessions holds the same *http.Request.
func stateOf(r *http.Request) *state {
	if st, ok := r.Context().Value(stateKey{}).(*state); ok {
		return st
	}
	st := new(state)
	st.records = st.room[:0]
	*r = *r.WithContext(context.WithValue(r.Context(), stateKey{}, st))
	return st
}

// take returns the operation that waits for a load, once.
func (st *state) take() func(context.Context, *record) error {
	op := st.operation
	st.operation = nil
	return op
}

// record returns the record of the store's session of that name.
func (st *state) record(s *Store, name string) *record {
	for _, rec := range st.records {
		if rec.store == s && rec.name == name {
			return rec
		}
	}
	rec := &record{store: s, name: name}
	st.records = append(st.records, rec)
	return rec
}

// record is what the store remembers of a session for as long as its request lasts. It is the store that the
// session itself knows, the only place that gorilla/sessions has for it: Values belong to the user, who may clear
// them, and the request may be replaced by a middleware.
type record struct {
	store   *Store
	name    string
	session *gsessions.Session // nil: not asked for yet
	id      string             // "": not in Redis
	fields  map[string]string  // as they are in Redis, as far as known
	cookie  gsessions.Options  // the session's own, for the request to change
	err     error              // why the load failed: such a session is never saved
	result  Result             // of the last increment
}

var _ gsessions.Store = (*record)(nil)

// recordOf returns the record of a session, which only those have that this package has loaded.
func recordOf(session *gsessions.Session) (*record, error) {
	if rec, ok := session.Store().(*record); ok && rec.session == session {
		return rec, nil
	}
	return nil, fmt.Errorf("%w: the session was not loaded by this package; is its store in the Sessions middleware of this route?", ErrInvalid)
}

func (rec *record) Get(r *http.Request, name string) (*gsessions.Session, error) {
	return rec.store.Get(r, name)
}

func (rec *record) Save(r *http.Request, w http.ResponseWriter, session *gsessions.Session) error {
	return rec.store.Save(r, w, session)
}

// New is [Store.New]. The record becomes that of the session.
func (rec *record) New(r *http.Request, name string) (*gsessions.Session, error) {
	s, ctx := rec.store, r.Context()
	rec.session = gsessions.NewSession(rec, name)
	rec.cookie = s.cookie
	rec.session.Options = &rec.cookie
	rec.session.IsNew = true
	rec.id, rec.err = s.secrets.id(ctx, s, r, name)
	if op := stateOf(r).take(); op != nil { // it reports its errors itself
		if rec.err == nil {
			rec.err = op(ctx, rec)
		}
		return rec.session, nil
	}
	if rec.err == nil {
		rec.err = rec.load(ctx)
	}
	return rec.session, rec.err
}

// load reads the session from Redis, if it has an id.
func (rec *record) load(ctx context.Context) error {
	if rec.id == "" {
		return nil
	}
	s, key := rec.store, rec.store.key(rec.id)
	fields, err := do(ctx, s, func() (map[string]string, error) { return s.rdb.HGetAll(ctx, key).Result() })
	if err != nil {
		return err
	}
	if len(fields) == 0 {
		return rec.gone(ctx)
	}
	created, err := createdAt(fields)
	if err != nil {
		return err
	}
	if s.maxLifetime > 0 && time.Since(created) >= s.maxLifetime {
		return rec.gone(ctx)
	}
	return rec.fill(fields)
}

// gone makes a session whose id is no longer in Redis a new one, which never takes that id.
func (rec *record) gone(ctx context.Context) error {
	rec.forget()
	_, err := rec.store.secrets.resync(ctx, rec.store)
	return err
}

// fill gives the session the values of the fields, all of them or none.
func (rec *record) fill(fields map[string]string) error {
	values := make(map[any]any, len(fields))
	for name, text := range fields {
		if strings.HasPrefix(name, reserved) {
			continue
		}
		if _, err := fieldName(name); err != nil {
			return fmt.Errorf("%w: a field's name is not UTF-8, or empty", ErrCorrupt)
		}
		value, err := decode(text)
		if err != nil {
			return fmt.Errorf("field %.40q: %w", name, err)
		}
		values[name] = value
	}
	rec.session.Values = values
	rec.stored(fields)
	return nil
}

// stored notes that the session is in Redis, with these fields.
func (rec *record) stored(fields map[string]string) {
	rec.fields = fields
	rec.session.ID = rec.id
	rec.session.IsNew = false
}

// forget makes the session an empty new one.
func (rec *record) forget() {
	rec.id, rec.fields, rec.err = "", nil, nil
	clear(rec.session.Values)
	rec.session.ID = ""
	rec.session.IsNew = true
}

// changes returns the fields to write, as name, text, name, text, ..., and the names to remove.
func (rec *record) changes() (write, remove []string, err error) {
	for key, value := range rec.session.Values {
		name, err := fieldName(key)
		if err != nil {
			return nil, nil, err
		}
		text, err := encode(value)
		if err != nil {
			return nil, nil, fmt.Errorf("field %.40q: %w", name, err)
		}
		if stored, ok := rec.fields[name]; !ok || !unchanged(text, stored) {
			write = append(write, name, text)
		}
	}
	for name := range rec.fields {
		if _, ok := rec.session.Values[name]; !ok && !strings.HasPrefix(name, reserved) {
			remove = append(remove, name)
		}
	}
	return write, remove, nil
}

func (rec *record) save(ctx context.Context, w http.ResponseWriter) error {
	s := rec.store
	write, remove, err := rec.changes()
	if err != nil {
		return err
	}
	id, create := rec.id, "0"
	if id == "" {
		id, create = newID(), "1"
		if _, err := s.secrets.ring(ctx, s); err != nil { // before anything is written
			return err
		}
	}
	args := []any{create, s.ttlOf(rec.session).Milliseconds(), s.maxLifetime.Milliseconds(), s.maxBytes, len(write) / 2}
	for _, text := range slices.Concat(write, remove) {
		args = append(args, text)
	}
	answer, _, err := s.run(ctx, saveScript, saveScript.command([]string{s.key(id)}, args...))
	if err != nil {
		return err
	}
	lives, err := milliseconds(answer[0])
	if err != nil {
		return err
	}
	fields := maps.Clone(rec.fields)
	if fields == nil {
		fields = make(map[string]string)
	}
	for i := 0; i < len(write); i += 2 {
		fields[write[i]] = write[i+1]
	}
	for _, name := range remove {
		delete(fields, name)
	}
	rec.id = id
	rec.stored(fields)
	return rec.setCookie(ctx, w, lives)
}

// setCookie gives the browser the session's id. lives is how long the session lives from now on.
func (rec *record) setCookie(ctx context.Context, w http.ResponseWriter, lives time.Duration) error {
	value, err := rec.store.secrets.sign(ctx, rec.store, rec.name, rec.id)
	if err != nil {
		return err
	}
	options := rec.options()
	maxAge := 0
	if options.MaxAge > 0 {
		maxAge = seconds(lives)
	}
	setCookie(w, rec.name, value, options, maxAge)
	return nil
}

func (rec *record) options() *gsessions.Options {
	if rec.session.Options == nil {
		return &rec.store.cookie
	}
	return rec.session.Options
}

func (rec *record) destroy(ctx context.Context, w http.ResponseWriter) error {
	s := rec.store
	if err := rec.unidentified(); err != nil {
		return err
	}
	if rec.id != "" {
		key := s.key(rec.id)
		if _, err := do(ctx, s, func() (int64, error) { return s.rdb.Del(ctx, key).Result() }); err != nil {
			return rec.failed(err)
		}
	}
	rec.forget()
	setCookie(w, rec.name, "", rec.options(), -1)
	return nil
}

// unidentified returns why it could not be found out whose session this is: Redis, which has the secret, could not be
// asked. Without an id such a session looks like a new one, and must not be taken for one.
func (rec *record) unidentified() error {
	if rec.id == "" && errors.Is(rec.err, ErrUnavailable) {
		return rec.err
	}
	return nil
}

// failed notes that a session that was not loaded is still there: saving it would store what it looks like
// without its values.
func (rec *record) failed(err error) error {
	if rec.err == nil && rec.fields == nil {
		rec.err = err
	}
	return err
}

// ttlOf returns how long a session lives after its last use.
func (s *Store) ttlOf(session *gsessions.Session) time.Duration {
	if session.Options == nil || session.Options.MaxAge <= 0 || session.Options.MaxAge == seconds(s.ttl) {
		return s.ttl
	}
	return time.Duration(min(int64(session.Options.MaxAge), math.MaxInt64/int64(time.Second))) * time.Second
}

// createdAt returns when the session was created; an [ErrCorrupt] if the fields are not a session's.
func createdAt(fields map[string]string) (time.Time, error) {
	ms, err := strconv.ParseInt(fields[createdField], 10, 64)
	if err != nil || ms < 1 {
		return time.Time{}, fmt.Errorf("%w: no time of creation", ErrCorrupt)
	}
	return time.UnixMilli(ms), nil
}

func milliseconds(text string) (time.Duration, error) {
	ms, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%w: no time to live in a script's answer", ErrUnavailable)
	}
	return time.Duration(ms) * time.Millisecond, nil
}
