package templates

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// picture is what changes in the drawing of a visit's way: the instances, one below the other. Each has a slot of the
// same height.
type picture struct {
	Nodes  []node
	Height string // of the whole drawing: "10em"
	Bottom string // middle of the lowest slot, where the upright lines end
	Lit    string // middle of the slot that is lit, "50%" if none is
}

// node is one box of the drawing.
type node struct {
	Name string // shortened to fit the box at 320 px
	Y    string // upper edge of its slot: "2.5em"
	Lit  bool   // true for the instance that answered
	Rest bool   // true for the count of those left out, which has no box
}

const (
	maxNodes   = 6  // drawn boxes; the rest are counted in the last one
	maxLetters = 10 // letters in a box
)

// picture draws each instance once, in the order of their names, whatever number of processes it had. The one that
// answers is always drawn.
func (h Home) picture() picture {
	var names []string
	lit := ""
	for _, r := range h.Rows {
		if !slices.Contains(names, r.Instance) {
			names = append(names, r.Instance)
		}
		if r.Current {
			lit = r.Instance
		}
	}
	left := 0
	if len(names) > maxNodes {
		names, left = fold(names, lit), len(names)-(maxNodes-1)
	}
	slices.SortFunc(names, func(a, b string) int { // web.2 before web.10
		return cmp.Or(cmp.Compare(len(a), len(b)), strings.Compare(a, b))
	})
	d := picture{Lit: "50%"}
	for i, name := range names {
		if name == lit {
			d.Lit = slots(float64(i) + .5)
		}
		d.Nodes = append(d.Nodes, node{Name: shorten(name), Y: slots(float64(i)), Lit: name == lit})
	}
	if left > 0 {
		more := "+ " + strconv.Itoa(left) + " more"
		d.Nodes = append(d.Nodes, node{Name: more, Y: slots(float64(len(names))), Rest: true})
	}
	n := float64(max(len(d.Nodes), 1))
	d.Height, d.Bottom = slots(n), slots(n-.5)
	return d
}

// slots is the height of so many slots: "2.5em" for one.
func slots(n float64) string { return strconv.FormatFloat(2.5*n, 'f', -1, 64) + "em" }

// fold keeps the newest names, and lit among them, and leaves one place for the box that counts the others.
func fold(names []string, lit string) []string {
	kept := slices.Clone(names[len(names)-(maxNodes-1):])
	if lit != "" && !slices.Contains(kept, lit) {
		kept[0] = lit
	}
	return kept
}

// shorten keeps the end of a long name: that is where the port or the index is, which tells instances apart.
func shorten(name string) string {
	runes := []rune(name)
	if len(runes) <= maxLetters {
		return name
	}
	return "…" + string(runes[len(runes)-(maxLetters-1):])
}
