package templates

import _ "unsafe" // for go:linkname

// With TEMPL_DEV_MODE=true in its environment, a program that uses templ takes the text of its pages from files that
// templ's own watcher writes, and fails where there are none. templ offers no other way to switch that off, and reads the
// variable before the app's own code runs.
//
//go:linkname developmentMode github.com/a-h/templ/runtime.developmentMode
var developmentMode bool

func init() { developmentMode = false }
