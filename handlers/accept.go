package handlers

import (
	"net/http"
	"strconv"
	"strings"
)

// prefersJSON reports whether a request's Accept header prefers application/json to text/html (RFC 9110, section
// 12.5.1). Of two that are equally welcome, the one that is named wins over the one under a wildcard, then the one
// that is named first; HTML wins a draw.
func prefersJSON(r *http.Request) bool {
	accept := strings.ToLower(strings.Join(r.Header.Values("Accept"), ","))
	if !strings.Contains(accept, "json") && !strings.Contains(accept, "application/*") {
		return false
	}
	json, html := weigh(accept, "application", "json"), weigh(accept, "text", "html")
	if json.quality != html.quality {
		return json.quality > html.quality
	}
	if json.precision != html.precision {
		return json.precision > html.precision
	}
	return json.quality > 0 && json.position < html.position
}

// weight is how welcome a media type is.
type weight struct {
	quality   float64
	precision int // 3: named, 2: type/*, 1: */*, 0: not at all
	position  int // of the range that decided
}

func weigh(accept, mainType, subType string) (best weight) {
	position := -1
	for entry := range strings.SplitSeq(accept, ",") {
		position++
		mediaRange, parameters, _ := strings.Cut(entry, ";")
		precision := 0
		switch strings.TrimSpace(mediaRange) {
		case mainType + "/" + subType:
			precision = 3
		case mainType + "/*":
			precision = 2
		case "*/*":
			precision = 1
		}
		if precision > best.precision {
			best = weight{quality(parameters), precision, position}
		}
	}
	return best
}

// quality returns the q of a media range's parameters: 1 if there is none, 0 if it is not a number.
func quality(parameters string) float64 {
	for parameter := range strings.SplitSeq(parameters, ";") {
		if value, ok := strings.CutPrefix(strings.TrimSpace(parameter), "q="); ok {
			q, err := strconv.ParseFloat(value, 64)
			if err == nil && 0 <= q && q <= 1 { // not so for NaN, which parses
				return q
			}
			return 0
		}
	}
	return 1
}
