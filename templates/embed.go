// Package templates turns what a request found out into HTML. It parses its pages once, and talks neither to a browser
// nor to Redis: the caller fills a Home or a Problem, and every word that depends on a number is chosen here.
package templates

import "embed"

//go:embed *.html
var files embed.FS
