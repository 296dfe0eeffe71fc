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

// The fields that the store keeps for itself, beside those of its lanes.
const (
	reserved     = "@"
	createdField = reserved + "created" // when the session was created, in milliseconds since 1970
	maxAgeField  = reserved + "maxage"  // the MaxAge given to the session, in seconds
	typePrefix   = reserved + "type:"   // starts the field of the Go types of a field

	maxMaxAge = math.MaxInt32 // seconds: 68 years
)

// state is what the store keeps in the context of one request.
type state struct {
	instead operation // if set, it is done by the next load in the load's place
	records []*record
}

// An operation does something with the session of a record. ctx bounds its commands.
type operation func(ctx context.Context, rec *record) error

type stateKey struct{}

// stateOf returns the state of the request, which it puts into the request's context at the first call, in
// place, as gorilla/sessions does with its registry: gin-contrib/sessions holds the same *http.Request.
func stateOf(r *http.Request) *state {
	if st, ok := r.Context().Value(stateKey{}).(*state); ok {
		return st
	}
	st := new(state)
	*r = *r.WithContext(context.WithValue(r.Context(), stateKey{}, st))
	return st
}

// take returns the operation that waits for a load, once.
func (st *state) take() operation {
	op := st.instead
	st.instead = nil
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

// record is what the store remembers of a session while its request lasts. To gorilla/sessions it is the session's store, the
// only place there is for it: the user may clear Values, and a middleware may replace the request.
type record struct {
	store   *Store
	name    string
	session *gsessions.Session // nil: not asked for yet
	id      string             // "": not in Redis
	fields  map[string]string  // as they are in Redis, as far as known
	cookie  gsessions.Options  // the session's own, for the request to change
	maxAge  int                // the session's, as it is in Redis or else the store's
	loaded  bool               // the first operation is over, with a load or in its place
	err     error              // why it failed: such a session is never saved
}

var _ gsessions.Store = (*record)(nil)

// recordOf returns the record of a session. Only sessions that this package has loaded have one.
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
	rec.begin()
	instead := stateOf(r).take()
	rec.err = rec.first(r, name, instead)
	rec.loaded = true
	if instead != nil { // its caller reports its errors
		return rec.session, nil
	}
	return rec.session, rec.err
}

// begin gives the record an empty session.
func (rec *record) begin() {
	rec.session = gsessions.NewSession(rec, rec.name)
	rec.cookie, rec.maxAge = rec.store.cookie, rec.store.cookie.MaxAge
	rec.session.Options = &rec.cookie
	rec.session.IsNew = true
}

// first finds out whose session it is and loads it, or does an operation instead.
func (rec *record) first(r *http.Request, name string, instead operation) error {
	ctx, cancel, err := rec.store.limit(r.Context())
	if err != nil {
		return err
	}
	defer cancel()
	if rec.id, err = rec.store.secrets.id(ctx, r, name); err != nil {
		return err
	}
	if instead != nil {
		return instead(ctx, rec)
	}
	return rec.load(ctx)
}

// load reads the session from Redis, if it has an id.
func (rec *record) load(ctx context.Context) error {
	if rec.id == "" {
		return nil
	}
	s := rec.store
	fields, err := s.rdb.HGetAll(ctx, s.key(rec.id)).Result()
	if err != nil {
		return classify(err)
	}
	if len(fields) == 0 {
		return rec.gone(ctx)
	}
	created, err := createdAt(fields)
	if err != nil {
		return err
	}
	if s.maxLifetime > 0 { // it may have been longer when the session was last written
		now, err := s.rdb.Time(ctx).Result()
		if err != nil {
			return classify(err)
		}
		if now.Sub(created) >= s.maxLifetime {
			return rec.gone(ctx)
		}
	}
	return rec.fill(fields)
}

// gone turns a session whose id is no longer in Redis into a new one, which never takes that id. Redis may have restarted
// without its data, so gone puts the shared secret back.
func (rec *record) gone(ctx context.Context) error {
	rec.forget()
	_, err := rec.store.secrets.ask(ctx, true)
	return err
}

// fill gives the session the values of the fields, all of them or none. It keeps values whose fields have not changed.
func (rec *record) fill(fields map[string]string) error {
	if _, err := createdAt(fields); err != nil {
		return err
	}
	maxAge := rec.store.cookie.MaxAge
	if text, ok := fields[maxAgeField]; ok {
		var err error
		if maxAge, err = strconv.Atoi(text); err != nil || maxAge < 0 || maxAge > maxMaxAge {
			return fmt.Errorf("%w: field %q", ErrCorrupt, maxAgeField)
		}
	}
	values := make(map[any]any, len(fields))
	for name, text := range fields {
		if strings.HasPrefix(name, reserved) {
			continue
		}
		if _, err := fieldName(name); err != nil {
			return fmt.Errorf("%w: a field's name is not UTF-8, or empty", ErrCorrupt)
		}
		types := fields[typePrefix+name]
		if value, ok := rec.session.Values[name]; ok && rec.fields[name] == text && rec.fields[typePrefix+name] == types {
			values[name] = value
			continue
		}
		value, err := rec.store.types.decode(text, types)
		if err != nil {
			return fmt.Errorf("field %.40q: %w", name, err)
		}
		values[name] = value
	}
	rec.session.Values = values
	rec.maxAge, rec.cookie.MaxAge = maxAge, maxAge
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
	rec.maxAge = rec.store.cookie.MaxAge
	clear(rec.session.Values)
	rec.session.ID = ""
	rec.session.IsNew = true
}

// changes is what a request has changed and not saved.
type changes struct {
	set    []any // name, text, types, name, ...
	remove []any // names
}

// changes returns what is to be written, except the counters of an increment.
func (rec *record) changes(counters []any) (c changes, err error) {
	for key, value := range rec.session.Values {
		name, err := fieldName(key)
		if err != nil {
			return c, err
		}
		text, types, err := rec.store.types.encode(value)
		if err != nil {
			return c, fmt.Errorf("field %.40q: %w", name, err)
		}
		stored, ok := rec.fields[name]
		unchanged := ok && rec.store.types.same(text, types, stored, rec.fields[typePrefix+name])
		if !unchanged && !slices.Contains(counters, any(name)) {
			c.set = append(c.set, name, text, types)
		}
	}
	for name := range rec.fields {
		_, ok := rec.session.Values[name]
		if !ok && !strings.HasPrefix(name, reserved) && !slices.Contains(counters, any(name)) {
			c.remove = append(c.remove, name)
		}
	}
	switch given := min(rec.options().MaxAge, maxMaxAge); {
	case given < 0 || given == rec.maxAge:
	case given == rec.store.cookie.MaxAge:
		c.remove = append(c.remove, maxAgeField)
	default:
		c.set = append(c.set, maxAgeField, strconv.Itoa(given), "")
	}
	return c, nil
}

// written notes that changes are in Redis.
func (rec *record) written(c changes) {
	fields := maps.Clone(rec.fields)
	if fields == nil {
		fields = make(map[string]string)
	}
	for i := 0; i < len(c.set); i += 3 {
		name := c.set[i].(string)
		fields[name], fields[typePrefix+name] = c.set[i+1].(string), c.set[i+2].(string)
	}
	for _, name := range c.remove {
		delete(fields, name.(string))
		delete(fields, typePrefix+name.(string))
	}
	rec.stored(fields)
}

// write runs the script that writes the session of that id: changes, an increment in its turn, both, or neither.
func (s *Store) write(ctx context.Context, id string, create bool, c changes, t turn, counters []any, wantFields bool) (fields []string, lives time.Duration, err error) {
	args := make([]any, 0, 9+len(c.set)+len(c.remove)+len(counters))
	args = append(args, flag(create), s.ttl.Milliseconds(), s.maxLifetime.Milliseconds(), s.maxBytes,
		t.field, t.number, flag(wantFields), len(c.set)/3, len(c.remove))
	args = append(append(append(args, c.set...), c.remove...), counters...)
	return s.run(ctx, writeScript, []string{s.key(id)}, args...)
}

func flag(b bool) string {
	if b {
		return "1"
	}
	return "0"
}

func (rec *record) save(request context.Context, w http.ResponseWriter) error {
	s := rec.store
	ctx, cancel, err := s.limit(request)
	if err != nil {
		return err
	}
	defer cancel()
	changed, err := rec.changes(nil)
	if err != nil {
		return err
	}
	id, create := rec.id, rec.id == ""
	if create {
		id = newID()
		if _, err := s.secrets.ring(ctx); err != nil { // before anything is written
			return err
		}
	}
	_, lives, err := s.write(ctx, id, create, changed, turn{}, nil, false)
	if err != nil {
		return err
	}
	rec.id = id
	rec.written(changed)
	if given := rec.options().MaxAge; given >= 0 {
		rec.maxAge = given
	}
	return rec.setCookie(ctx, w, lives)
}

// setCookie gives the browser the session's id. lives is how long the session lives from now on.
func (rec *record) setCookie(ctx context.Context, w http.ResponseWriter, lives time.Duration) error {
	value, err := rec.store.secrets.sign(ctx, rec.name, rec.id)
	if err != nil {
		return err
	}
	maxAge := 0
	if rec.maxAge > 0 {
		maxAge = seconds(lives)
	}
	setCookie(w, rec.name, value, *rec.options(), maxAge)
	return nil
}

func (rec *record) options() *gsessions.Options {
	if rec.session.Options == nil {
		return &rec.cookie
	}
	return rec.session.Options
}

func (rec *record) destroy(request context.Context, w http.ResponseWriter) error {
	if rec.id == "" && rec.err != nil { // whose session it is could not be found out
		return rec.err
	}
	if rec.id != "" {
		ctx, cancel, err := rec.store.limit(request)
		if err == nil {
			defer cancel()
			err = classify(rec.store.rdb.Del(ctx, rec.store.key(rec.id)).Err())
		}
		if err != nil {
			if rec.err == nil && rec.fields == nil {
				rec.err = err // it was not loaded: saving it would store what it looks like without its values
			}
			return err
		}
	}
	options := *rec.options()
	rec.forget()
	setCookie(w, rec.name, "", options, -1)
	return nil
}

// createdAt returns when the session was created; an [ErrCorrupt] if the fields are not a session's.
func createdAt(fields map[string]string) (time.Time, error) {
	ms, err := strconv.ParseInt(fields[createdField], 10, 64)
	if err != nil || ms < 1 {
		return time.Time{}, fmt.Errorf("%w: no time of creation", ErrCorrupt)
	}
	return time.UnixMilli(ms), nil
}

// damaged reports whether an error is about what lies under the session's key: it would come back at each try.
func damaged(err error) bool {
	return errors.Is(err, ErrCorrupt) || errors.Is(err, ErrOverflow) || errors.Is(err, ErrTooLarge)
}
