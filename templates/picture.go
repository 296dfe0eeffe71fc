package templates

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// picture is the drawing of a visit's way: the instances, one below the other.
type picture struct {
	names  []string
	lit    string // the one that answered
	left   int    // how many are not drawn
	middle string // of the box that is lit, in percent of the height; the middle of all if none is
}

const (
	maxBoxes   = 6  // the last counts those that are left out
	maxLetters = 10 // letters in a box, at 320 px
)

// picture draws each instance once, ordered by name, however many processes it had. The one that answers is always
// drawn.
func (h *Home) picture() picture {
	p := picture{middle: "50%"}
	for _, r := range h.Rows {
		if !slices.Contains(p.names, r.Instance) {
			p.names = append(p.names, r.Instance)
		}
		if r.Current {
			p.lit = r.Instance
		}
	}
	boxes := len(p.names)
	if boxes > maxBoxes {
		p.left = boxes - (maxBoxes - 1)
		p.names, boxes = fold(p.names, p.lit), maxBoxes
	}
	slices.SortFunc(p.names, func(a, b string) int { // web.2 before web.10
		return cmp.Or(cmp.Compare(len(a), len(b)), strings.Compare(a, b))
	})
	if i := slices.Index(p.names, p.lit); i >= 0 {
		p.middle = strconv.FormatFloat((float64(i)+.5)/float64(boxes)*100, 'f', 1, 64) + "%"
	}
	return p
}

// fold keeps the newest names, and lit among them, and leaves one place for the box that counts the others.
func fold(names []string, lit string) []string {
	kept := slices.Clone(names[len(names)-(maxBoxes-1):])
	if lit != "" && !slices.Contains(kept, lit) {
		kept[0] = lit
	}
	return kept
}

// shorten keeps the end of a long name, where the port or the index tells instances apart.
func shorten(name string) string {
	runes := []rune(name)
	if len(runes) <= maxLetters {
		return name
	}
	return "…" + string(runes[len(runes)-(maxLetters-1):])
}
