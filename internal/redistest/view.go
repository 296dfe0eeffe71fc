package redistest

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"
)

const viewTimeout = 500 * time.Millisecond // for one server to say what it sees

// view is the cluster as one node sees it.
type view struct {
	node    *Node
	working bool       // its state is ok and, on a replica, the link to its master is up
	lines   [][]string // of CLUSTER NODES: id, address, flags, master, ping, pong, epoch, link, slots...
}

// view asks the node; one that does not answer soon is an error.
func (n *Node) view() (view, error) {
	if !n.Running() {
		return view{}, errors.New("it is down")
	}
	ctx, cancel := context.WithTimeout(context.Background(), viewTimeout)
	defer cancel()
	info, err := n.client.ClusterInfo(ctx).Result()
	if err != nil {
		return view{}, err
	}
	replication, err := n.client.Info(ctx, "replication").Result()
	if err != nil {
		return view{}, err
	}
	nodes, err := n.client.ClusterNodes(ctx).Result()
	if err != nil {
		return view{}, err
	}
	v := view{node: n}
	v.working = strings.Contains(info, "cluster_state:ok") && !strings.Contains(replication, "master_link_status:down")
	for line := range strings.Lines(nodes) {
		v.lines = append(v.lines, strings.Fields(line))
	}
	return v, nil
}

// handshake reports whether some node is only about to be met.
func (v view) handshake() bool {
	for _, line := range v.lines {
		if strings.Contains(line[2], "handshake") {
			return true
		}
	}
	return false
}

// replicas counts them.
func (v view) replicas() (n int) {
	for _, line := range v.lines {
		if line[3] != "-" {
			n++
		}
	}
	return n
}

// masterOf returns the id of a replica's master, "-" for a master.
func (v view) masterOf(id string) string {
	for _, line := range v.lines {
		if line[0] == id {
			return line[3]
		}
	}
	return "-"
}

// owner returns the id of the node that serves the slot.
func (v view) owner(slot int) string {
	for _, line := range v.lines {
		for _, served := range line[8:] {
			if contains(served, slot) {
				return line[0]
			}
		}
	}
	return ""
}

// contains reports whether "7" or "0-5460" contains the slot. "[7->-id]", a slot on its way, does not.
func contains(served string, slot int) bool {
	from, to, isRange := strings.Cut(served, "-")
	if !isRange {
		to = from
	}
	first, err := strconv.Atoi(from)
	if err != nil {
		return false
	}
	last, err := strconv.Atoi(to)
	return err == nil && first <= slot && slot <= last
}

// agreedMaster returns the owner of the slot that all views agree on, if it is among those that answered.
func agreedMaster(views []view, slot int) (master *Node) {
	for _, v := range views {
		if !v.working || v.owner(slot) != views[0].owner(slot) {
			return nil
		}
		if v.node.ID == v.owner(slot) {
			master = v.node
		}
	}
	return master
}
