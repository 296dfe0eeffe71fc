package redistest

// Migration moves a slot from one master to another, as redis-cli --cluster reshard does, but step by step. Until Finish,
// the old master serves the keys that it still holds and answers ASK for all others; after Finish it answers MOVED.
type Migration struct {
	c        *Cluster
	from, to *Node
	key      string
	slot     int
}

// Migrate starts to move the slot of a key to another master. No key has moved when it returns.
func (c *Cluster) Migrate(key string, to *Node) *Migration {
	c.t.Helper()
	m := &Migration{c: c, from: c.MasterOf(key), to: to, key: key}
	slot, err := to.client.ClusterKeySlot(c.t.Context(), key).Result()
	Must(c.t, err)
	m.slot = int(slot)
	m.set(to, "IMPORTING", m.from)
	m.set(m.from, "MIGRATING", to)
	return m
}

// MoveKeys moves at most n keys of the slot and returns how many it found.
func (m *Migration) MoveKeys(n int) int {
	m.c.t.Helper()
	ctx := m.c.t.Context()
	keys, err := m.from.client.ClusterGetKeysInSlot(ctx, m.slot, n).Result()
	Must(m.c.t, err)
	for _, key := range keys {
		Must(m.c.t, m.from.client.Migrate(ctx, "127.0.0.1", port(m.to.Addr()), key, 0, migrateTimeout).Err())
	}
	return len(keys)
}

// Finish moves the remaining keys, assigns the slot to the new master, and returns when all nodes know.
func (m *Migration) Finish() {
	m.c.t.Helper()
	for m.MoveKeys(100) > 0 {
	}
	m.set(m.to, "NODE", m.to)
	m.set(m.from, "NODE", m.to)
	Wait(m.c.t, "all nodes to know where the slot is", func() bool { return m.c.agreedMaster(m.key) == m.to })
}

// set sets the slot's state on a node, with the other node that it concerns.
func (m *Migration) set(n *Node, state string, other *Node) {
	m.c.t.Helper()
	Must(m.c.t, n.client.Do(m.c.t.Context(), "CLUSTER", "SETSLOT", m.slot, state, other.id).Err())
}
