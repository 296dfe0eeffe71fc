//go:build !unix

package demo

// stayInBackground has nothing to do: there is no background.
func stayInBackground() {}
