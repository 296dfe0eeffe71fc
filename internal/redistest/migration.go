package redistest

// migrateTimeout is how long one MIGRATE may take, in milliseconds.
const migrateTimeout = 5000

// Migration is a slot on its way from one master to another, as redis-cli --cluster reshard moves it, but
// step by step. While it is under way, From answers for keys that it still holds and ASK for all others;
// after Finish it answers MOVED.
type Migration struct {
	From, To *Node
	Slot     int
	c        *Cluster
}

// Migrate starts to move the slot of a key to another master. No key has moved yet when it returns.
func (c *Cluster) Migrate(key string, to *Node) *Migration {
	c.t.Helper()
	m := &Migration{From: c.MasterOf(key), To: to, Slot: c.slot(key), c: c}
	do(c.t, to.client, "CLUSTER", "SETSLOT", m.Slot, "IMPORTING", m.From.ID)
	do(c.t, m.From.client, "CLUSTER", "SETSLOT", m.Slot, "MIGRATING", to.ID)
	return m
}

// MoveKeys moves at most n keys of the slot and returns how many it found.
func (m *Migration) MoveKeys(n int) int {
	t := m.c.t
	t.Helper()
	keys := do(t, m.From.client, "CLUSTER", "GETKEYSINSLOT", m.Slot, n).([]any)
	if len(keys) > 0 {
		args := []any{"MIGRATE", "127.0.0.1", port(t, m.To.Addr()), "", 0, migrateTimeout, "KEYS"}
		do(t, m.From.client, append(args, keys...)...)
	}
	return len(keys)
}

// Finish moves the keys that are left, tells the masters who owns the slot now and returns when all nodes
// know.
func (m *Migration) Finish() {
	t := m.c.t
	t.Helper()
	for m.MoveKeys(100) > 0 {
	}
	for _, n := range []*Node{m.To, m.From} {
		do(t, n.client, "CLUSTER", "SETSLOT", m.Slot, "NODE", m.To.ID)
	}
	Wait(t, "all nodes to know where the slot is", func() bool {
		return agreedMaster(m.c.views(), m.Slot) == m.To
	})
}
