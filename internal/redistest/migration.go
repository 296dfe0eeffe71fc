package redistest

// Migration moves a slot from one master to another, as redis-cli --cluster reshard does, but step by step. Until Finish,
// the old master serves the keys that it still holds and answers ASK for all others; after Finish it answers MOVED.
type Migration struct {
	To   *Node // the new master
	c    *Cluster
	from *Node
	key  string
	slot int
}

// maxKeys is more than a slot has in any test.
const maxKeys = 100

// Migrate starts to move the slot of a key to another master, in a cluster without replicas. No key has moved when it returns.
func (c *Cluster) Migrate(key string) *Migration {
	c.t.Helper()
	m := &Migration{To: c.Nodes[0], c: c, from: c.MasterOf(key), key: key}
	if m.To == m.from {
		m.To = c.Nodes[1]
	}
	slot, err := m.from.client.ClusterKeySlot(c.t.Context(), key).Result()
	Must(c.t, err)
	m.slot = int(slot)
	m.set(m.To, "IMPORTING", m.from)
	m.set(m.from, "MIGRATING", m.To)
	return m
}

// MoveKeys moves the keys that the slot has now.
func (m *Migration) MoveKeys() {
	m.c.t.Helper()
	ctx := m.c.t.Context()
	keys, err := m.from.client.ClusterGetKeysInSlot(ctx, m.slot, maxKeys).Result()
	Must(m.c.t, err)
	for _, key := range keys {
		Must(m.c.t, m.from.client.Migrate(ctx, "127.0.0.1", port(m.To.Addr()), key, 0, migrateTimeout).Err())
	}
}

// Finish moves the remaining keys, assigns the slot to the new master, and returns when all nodes know.
func (m *Migration) Finish() {
	m.c.t.Helper()
	m.MoveKeys()
	m.set(m.To, "NODE", m.To)
	m.set(m.from, "NODE", m.To)
	Wait(m.c.t, "all nodes to know where the slot is", func() bool { return m.c.agreedMaster(m.key) == m.To })
}

// set sets the slot's state on a node, with the other node that it concerns.
func (m *Migration) set(n *Node, state string, other *Node) {
	m.c.t.Helper()
	Must(m.c.t, n.client.Do(m.c.t.Context(), "CLUSTER", "SETSLOT", m.slot, state, other.id).Err())
}
