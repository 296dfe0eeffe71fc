// Package templates turns what a request found out into HTML. It parses its pages once and knows nothing of HTTP or
// Redis: the caller fills a Home or a Problem, and every word that depends on a number is chosen here.
package templates

import "embed"

//go:embed *.html
var files embed.FS
