package redisstore

import (
	"context"
	"fmt"

	"github.com/redis/go-redis/v9"
)

// Check reports whether this Redis can keep sessions: it counts in one and finds it, all over a Cluster, and leaves nothing
// behind. It does not fail for want of DEL.
func (s *Store) Check(ctx context.Context) error {
	request := ctx
	ctx, cancel, err := s.limit(ctx)
	if err != nil {
		return err
	}
	defer cancel()
	if err := s.checkNodes(ctx); err != nil {
		return err
	}
	id := newID()
	spare := s.key(newIDBeside(id)) // in the same slot, so that one command removes both
	if err = s.secrets.check(ctx, spare); err == nil {
		err = s.checkSession(request, ctx, id)
	}
	_ = s.rdb.Del(ctx, s.key(id), spare) // where it fails, they expire
	return err
}

// checkSession creates a session, counts in it, removes a field of it, and finds it again.
func (s *Store) checkSession(request, ctx context.Context, id string) error {
	const counter, field = "checks", "checked"
	first := changes{set: []any{field, "true", "", maxAgeField, "10", ""}} // seconds to live, should it not be removed
	for i, changed := range []changes{first, {remove: []any{field}}} {
		turn, err := s.lanes.take(request, ctx, id)
		if err != nil {
			return classify(err)
		}
		_, _, err = s.write(ctx, id, i == 0, changed, turn, []any{counter, 1}, true)
		turn.end()
		if err != nil {
			return fmt.Errorf("check: %w", err)
		}
	}
	fields, err := s.rdb.HGetAll(ctx, s.key(id)).Result()
	if err != nil {
		return classify(err)
	}
	if fields[counter] != "2" || fields[field] != "" {
		return fmt.Errorf("%w: what was written is not found again; does the client read from replicas?", ErrUnavailable)
	}
	return nil
}

// checkNodes asks for sessions all over a Cluster.
func (s *Store) checkNodes(ctx context.Context) error {
	if cluster, ok := s.rdb.(*redis.ClusterClient); ok {
		return classify(cluster.ForEachMaster(ctx, func(ctx context.Context, node *redis.Client) error { return node.Time(ctx).Err() }))
	}
	pipe := s.rdb.Pipeline()
	for range 16 { // a node with two thirds of a Cluster's slots answers all of them once in 650 times
		pipe.HGetAll(ctx, s.key(newID()))
	}
	_, err := pipe.Exec(ctx)
	return classify(err)
}
