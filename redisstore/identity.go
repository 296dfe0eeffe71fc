package redisstore

import (
	"context"
	"net/http"

	"github.com/gin-gonic/gin"
)

// Destroy removes the request's default session from Redis and expires its cookie. It does not load the session,
// so it works for a damaged one too. Whatever a slow request still writes, the session stays gone; what this
// request sets and saves after it begins a new one, under a new id. On [ErrUnavailable] the session may still be there,
// and the cookie is left as it is.
func Destroy(c *gin.Context) error {
	rec, err := identify(c.Request, ofGin(c))
	if err != nil {
		return err
	}
	return rec.destroy(c.Request.Context(), c.Writer)
}

// Destroy is the function [Destroy] for programs without gin.
func (s *Store) Destroy(w http.ResponseWriter, r *http.Request, name string) error {
	rec, err := identify(r, s.of(r, name))
	if err != nil {
		return err
	}
	return rec.destroy(r.Context(), w)
}

// Abandon leaves what lies under the key of the request's default session as it is, and makes the session an
// empty new one, which Save or [Increment] will store under a new id. It is the way on after an [ErrCorrupt]. Data
// without a time to live, which this package never writes, gets that of a session, so that it does not stay for ever.
// On [ErrUnavailable] nothing is abandoned, and the session refuses to be saved if it was not loaded.
func Abandon(c *gin.Context) error {
	rec, err := identify(c.Request, ofGin(c))
	if err != nil {
		return err
	}
	return rec.abandon(c.Request.Context())
}

// Abandon is the function [Abandon] for programs without gin.
func (s *Store) Abandon(r *http.Request, name string) error {
	rec, err := identify(r, s.of(r, name))
	if err != nil {
		return err
	}
	return rec.abandon(r.Context())
}

// Regenerate gives the request's default session a new id and sets its cookie; the old id is gone in the same
// instant. Do it at every change of what a session may do, log-in first of all (OWASP ASVS 5.0, 7.2.4). The
// session's values stay; what the request has changed is still to be saved. A session that is not stored yet
// gets its id when it is. A request that comes with the old id meanwhile finds no session; if it begins a new one,
// as [Increment] does, and is answered last, the browser keeps that one's cookie.
//
// Errors: [ErrGone], [ErrUnavailable], or that of the load. The cookie is left as it is then. On
// [ErrUnavailable] the session may be found under the old id, or, if the answer was lost, under none.
func Regenerate(c *gin.Context) error {
	return regenerate(c.Writer, c.Request, ofGin(c))
}

// Regenerate is the function [Regenerate] for programs without gin.
func (s *Store) Regenerate(w http.ResponseWriter, r *http.Request, name string) error {
	return regenerate(w, r, s.of(r, name))
}

func regenerate(w http.ResponseWriter, r *http.Request, get getter) error {
	load := func(ctx context.Context, rec *record) error { return rec.load(ctx) }
	rec, err := operate(r, get, load, nothing)
	if err != nil {
		return err
	}
	return rec.regenerate(r.Context(), w)
}

// nothing is the operation for a session that only has to be there.
func nothing(context.Context, *record) error { return nil }

// identify returns the record of a request's session; one that is not loaded yet knows its id only.
func identify(r *http.Request, get getter) (*record, error) {
	rec, err := operate(r, get, nothing, nothing)
	if rec == nil {
		return nil, err
	}
	return rec, nil // a failed load is no obstacle
}

func (rec *record) abandon(ctx context.Context) error {
	s := rec.store
	if err := rec.unidentified(); err != nil {
		return err
	}
	if rec.id != "" {
		if _, _, err := s.run(ctx, abandonScript, abandonScript.command([]string{s.key(rec.id)}, s.ttl.Milliseconds())); err != nil {
			return rec.failed(err)
		}
	}
	rec.forget()
	return nil
}

func (rec *record) regenerate(ctx context.Context, w http.ResponseWriter) error {
	if rec.id == "" {
		return nil
	}
	s := rec.store
	id := s.newIDBeside(rec.id)
	answer, _, err := s.run(ctx, regenerateScript, regenerateScript.command([]string{s.key(rec.id), s.key(id)}))
	if err != nil {
		return err
	}
	lives, err := milliseconds(answer[0])
	if err != nil {
		return err
	}
	rec.id, rec.session.ID = id, id
	return rec.setCookie(ctx, w, lives)
}
