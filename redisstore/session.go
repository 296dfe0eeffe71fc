package redisstore

import (
	"context"
	"errors"
	"net/http"

	"github.com/gin-contrib/sessions"
	"github.com/gin-gonic/gin"
	gsessions "github.com/gorilla/sessions"
)

// A Session does what [sessions.Session] has no methods for, in one request.
type Session struct {
	w   http.ResponseWriter
	r   *http.Request
	get func() *gsessions.Session // loads it at the first call
}

// Default returns the handle of the session of [sessions.Sessions].
func Default(c *gin.Context) *Session {
	return &Session{c.Writer, c.Request, func() *gsessions.Session { return unwrap(c.Value(sessions.DefaultKey)) }}
}

// Named returns the handle of one of the sessions of [sessions.SessionsMany].
func Named(c *gin.Context, name string) *Session {
	return &Session{c.Writer, c.Request, func() *gsessions.Session {
		many, _ := c.Value(sessions.DefaultKey).(map[string]sessions.Session)
		return unwrap(many[name])
	}}
}

// unwrap returns the session in a session of gin-contrib/sessions.
func unwrap(session any) *gsessions.Session {
	if wrapper, ok := session.(interface{ Session() *gsessions.Session }); ok {
		return wrapper.Session()
	}
	return gsessions.NewSession(nil, "") // not one of ours
}

// Session returns the handle of a session for programs without gin.
func (s *Store) Session(w http.ResponseWriter, r *http.Request, name string) *Session {
	return &Session{w, r, func() *gsessions.Session {
		session, _ := s.Get(r, name) // the error is in the record
		return session
	}}
}

// Require returns a middleware for routes that need their session: if it cannot be loaded, fail answers instead.
func Require(fail func(*gin.Context, error)) gin.HandlerFunc {
	return func(c *gin.Context) {
		if err := Default(c).Load(); err != nil {
			fail(c, err)
			c.Abort()
		}
	}
}

// do does an operation on the session: in the load's place where it is not loaded yet, so that both are one command.
func (x *Session) do(op operation) (*record, error) {
	st := stateOf(x.r)
	var first error
	st.instead = func(ctx context.Context, rec *record) error {
		first = op(ctx, rec)
		if errors.Is(first, ErrGone) {
			return nil // no failure of the load: the session is a new one
		}
		return first
	}
	rec, err := recordOf(x.get())
	loaded := st.take() != nil // by an earlier call
	if err != nil {
		return nil, err
	}
	if rec.err != nil {
		return rec, rec.err
	}
	if !loaded {
		return rec, first
	}
	ctx, cancel, err := rec.store.limit(x.r.Context())
	if err != nil {
		return rec, err
	}
	defer cancel()
	return rec, op(ctx, rec)
}

// Load loads the session and returns the error of the load, which gin-contrib/sessions only logs.
func (x *Session) Load() error {
	_, err := x.do(func(ctx context.Context, rec *record) error {
		if rec.loaded {
			return nil
		}
		return rec.load(ctx)
	})
	return err
}

// Touch renews the session without a change, loading it in the same trip. It is [ErrGone] where there is none, and works
// after the answer has begun: a stream or a WebSocket asks whether its session is still there.
func (x *Session) Touch() error {
	_, err := x.do(func(ctx context.Context, rec *record) error {
		if rec.id == "" {
			return ErrGone
		}
		fields, lives, err := rec.store.write(ctx, rec.id, false, changes{}, turn{}, nil, !rec.loaded)
		if errors.Is(err, ErrGone) && !rec.loaded {
			return errors.Join(rec.gone(ctx), ErrGone)
		}
		if err != nil {
			return err
		}
		if !rec.loaded {
			if err := rec.fill(pairs(fields)); err != nil {
				return err
			}
		}
		if notBegun(x.w) != nil {
			return nil
		}
		return rec.setCookie(ctx, x.w, lives)
	})
	return err
}

// pairs returns name, value, name, value, ... as a map.
func pairs(flat []string) map[string]string {
	fields := make(map[string]string, len(flat)/2)
	for i := 0; i < len(flat); i += 2 {
		fields[flat[i]] = flat[i+1]
	}
	return fields
}

// Regenerate gives the session a new id, and the browser its cookie; the old id is gone in the same instant. What the request
// has changed is still to be saved. On [ErrUnavailable] the session has its old id, or, if only the answer was lost, none.
func (x *Session) Regenerate() error {
	if err := notBegun(x.w); err != nil {
		return err
	}
	_, err := x.do(func(ctx context.Context, rec *record) error {
		if !rec.loaded {
			if err := rec.load(ctx); err != nil {
				return err
			}
		}
		if rec.id == "" {
			return nil
		}
		s, id := rec.store, newIDBeside(rec.id)
		_, lives, err := s.run(ctx, regenerateScript, []string{s.key(rec.id), s.key(id)})
		if err != nil {
			return err
		}
		rec.id, rec.session.ID = id, id
		return rec.setCookie(ctx, x.w, lives)
	})
	return err
}

// Destroy removes the session, without loading it, and expires its cookie. On [ErrUnavailable] the session may still be
// there, and the cookie is left as it is.
func (x *Session) Destroy() error {
	rec, err := x.do(nothing)
	if rec == nil {
		return err
	}
	return rec.destroy(x.r.Context(), x.w)
}

// Abandon leaves what lies under the session's key as it is, and begins a new session: the way on after [ErrCorrupt],
// [ErrTooLarge], [ErrOverflow] and [ErrGone]. After [ErrUnavailable] it returns that.
func (x *Session) Abandon() error {
	rec, err := x.do(nothing)
	if rec == nil || err != nil && !damaged(err) {
		return err
	}
	rec.forget()
	return nil
}

// nothing is the operation for a session that is not to be loaded.
func nothing(context.Context, *record) error { return nil }
