package templates

import (
	"fmt"
	"testing"
)

// rowsOf makes a ledger of these instances; the one at index current answers.
func rowsOf(current int, names ...string) []Row {
	var rows []Row
	for i, name := range names {
		rows = append(rows, Row{Instance: name, Current: i == current})
	}
	return rows
}

func TestThePictureHasOneBoxForEachInstanceInOrder(t *testing.T) {
	h := Home{Rows: rowsOf(3, "web.10", "web.2", "web.1", "web.2")}
	p := h.picture()
	want := []node{{Name: "web.1", Y: "0em"}, {Name: "web.2", Y: "2.5em", Lit: true}, {Name: "web.10", Y: "5em"}}
	if fmt.Sprint(p.Nodes) != fmt.Sprint(want) {
		t.Errorf("nodes = %v; want %v", p.Nodes, want)
	}
	if p.Height != "7.5em" || p.Bottom != "6.25em" || p.Lit != "3.75em" {
		t.Errorf("height, bottom, lit = %s, %s, %s; want 7.5em, 6.25em, 3.75em", p.Height, p.Bottom, p.Lit)
	}
}

func TestThePictureAlwaysHoldsTheInstanceThatAnswered(t *testing.T) {
	names := []string{"a", "b", "c", "d", "e", "f", "g", "h", "i"}
	for current := range names {
		h := Home{Rows: rowsOf(current, names...)}
		nodes := h.picture().Nodes
		lit, last := 0, nodes[len(nodes)-1]
		for _, n := range nodes {
			if n.Lit && n.Name == names[current] {
				lit++
			}
		}
		if lit != 1 || len(nodes) != maxNodes || !last.Rest || last.Name != "+ 4 more" {
			t.Errorf("%s answers: nodes = %v; want %d with it lit once and the last counting 4", names[current], nodes, maxNodes)
		}
	}
}

func TestThePictureOfNothingCanBeDrawn(t *testing.T) {
	if p := (Home{}).picture(); len(p.Nodes) != 0 || p.Height != "2.5em" || p.Bottom != "1.25em" {
		t.Errorf("picture = %+v; want no box in one slot", p)
	}
	if nodes := (Home{Rows: rowsOf(-1, "a", "b", "c", "d", "e", "f", "g")}).picture().Nodes; nodes[0].Name != "c" {
		t.Errorf("nodes = %v; want c first, as no instance answers", nodes)
	}
}

func TestLongNamesKeepTheirEnd(t *testing.T) {
	for name, want := range map[string]string{
		"web.2": "web.2", "1234567890": "1234567890", "laptop.local:8081": "…ocal:8081", "ünïcödé-nämé:1": "…dé-nämé:1",
	} {
		if got := shorten(name); got != want {
			t.Errorf("shorten(%q) = %q; want %q", name, got, want)
		}
	}
}
