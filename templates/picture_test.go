package templates

import (
	"slices"
	"testing"
)

// rowsOf returns a ledger of these instances. The one at index current answers.
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
	if want := []string{"web.1", "web.2", "web.10"}; !slices.Equal(p.names, want) || p.left != 0 {
		t.Errorf("names = %q, %d left; want %q", p.names, p.left, want)
	}
	if p.lit != "web.2" || p.middle != "50.0%" {
		t.Errorf("%q is lit at %s; want web.2 in the middle", p.lit, p.middle)
	}
	h.Rows = rowsOf(0, "web.10", "web.2", "web.1", "web.2")
	if p := h.picture(); p.lit != "web.10" || p.middle != "83.3%" {
		t.Errorf("%q is lit at %s; want web.10 in the last third", p.lit, p.middle)
	}
}

func TestThePictureAlwaysHoldsTheInstanceThatAnswered(t *testing.T) {
	names := []string{"a", "b", "c", "d", "e", "f", "g", "h", "i"}
	for current := range names {
		h := Home{Rows: rowsOf(current, names...)}
		p := h.picture()
		if !slices.Contains(p.names, names[current]) || p.lit != names[current] || len(p.names) != maxBoxes-1 || p.left != 4 {
			t.Errorf("%s answers: %q is lit among %q, %d are left; want 5 with it, and 4 left", names[current], p.lit, p.names, p.left)
		}
	}
}

func TestThePictureNeedsNoCurrentInstance(t *testing.T) {
	if p := (&Home{}).picture(); len(p.names) != 0 || p.middle != "50%" {
		t.Errorf("picture = %+v; want no box", p)
	}
	if p := (&Home{Rows: rowsOf(-1, "a", "b", "c", "d", "e", "f", "g")}).picture(); p.names[0] != "c" || p.middle != "50%" {
		t.Errorf("picture = %+v; want c first, because no instance answers", p)
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
