package templates

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// picture is what changes in the drawing of a visit's way: the instances, one below the other.
type picture struct {
	Nodes  []node
	Height string // of the whole drawing: "9.6em"
	Top    string // middle of the uppermost box, where the upright lines begin
	Bottom string // middle of the lowest box, where they end
	Lit    string // middle of the box that is lit, "50%" if none is
}

// node is one box of the drawing.
type node struct {
	Name string // shortened to fit the box at 320 px
	Y    string // upper edge of its slot: "2.4em"
	Lit  bool   // true for the instance that answered
	Rest bool   // true for the count of those left out, which has no box
}

const (
	maxNodes   = 6  // drawn boxes; the rest are counted in the last one
	maxLetters = 10 // letters in a box
	slotTenths = 24 // height of a node's slot in tenths of an em
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
			d.Lit = tenths(i*slotTenths + slotTenths/2)
		}
		d.Nodes = append(d.Nodes, node{Name: shorten(name), Y: tenths(i * slotTenths), Lit: name == lit})
	}
	if left > 0 {
		d.Nodes = append(d.Nodes, node{Name: "+ " + strconv.Itoa(left) + " more", Y: tenths(len(names) * slotTenths), Rest: true})
	}
	n := max(len(d.Nodes), 1)
	d.Height = tenths(n * slotTenths)
	d.Top = tenths(slotTenths / 2)
	d.Bottom = tenths(n*slotTenths - slotTenths/2)
	return d
}

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

// tenths writes a length: 24 is "2.4em".
func tenths(n int) string {
	return strconv.Itoa(n/10) + "." + strconv.Itoa(n%10) + "em"
}
