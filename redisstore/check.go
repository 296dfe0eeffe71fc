package redisstore

import (
	"context"
	"fmt"
	"sync"

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
	id := newID()
	spare := s.key(newIDBeside(id)) // in the same slot, so that one command removes both
	var nodes, secret, session error
	var asking sync.WaitGroup
	for _, ask := range []func(){ // at once, so that a slow Redis with which visits still end in time is ready
		func() { nodes = s.checkNodes(ctx) },
		func() { secret = s.secrets.check(ctx, spare) },
		func() { session = s.checkSession(request, ctx, id) },
	} {
		asking.Add(1)
		go func() {
			defer asking.Done()
			ask()
		}()
	}
	asking.Wait()
	_ = s.rdb.Del(ctx, s.key(id), spare) // where it fails, they expire
	for _, err := range []error{nodes, secret, session} {
		if err != nil {
			return err
		}
	}
	return nil
}

// checkSession creates a session, counts in it, sets and removes a field of it, and finds it again.
func (s *Store) checkSession(request, ctx context.Context, id string) error {
	const counter, field = "checks", "checked"
	turn, err := s.lanes.take(request, ctx, id)
	if err != nil {
		return err
	}
	defer func() { _ = turn.end(nil) }() // how a check ends is nothing to say of a visit
	changed := changes{
		set:    []any{field, "true", "", maxAgeField, "10", ""}, // seconds to live, should it not be removed
		remove: []any{field},
	}
	if _, _, err := s.write(ctx, id, true, changed, turn, []any{counter, 1}, true); err != nil {
		return fmt.Errorf("check: %w", err)
	}
	fields, err := s.rdb.HGetAll(ctx, s.key(id)).Result()
	if err != nil {
		return classify(err)
	}
	if fields[counter] != "1" || fields[field] != "" {
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
