package demo

import (
	"os/exec"
	"runtime"
)

// openBrowser opens url if there is a graphical session. It reports no failure, because the demo prints the address anyway.
func openBrowser(url string, getenv func(string) string) {
	opener := browserOpener(runtime.GOOS, getenv)
	if opener == nil {
		return
	}
	cmd := exec.Command(opener[0], append(opener[1:], url)...)
	if cmd.Start() == nil {
		go func() { _ = cmd.Wait() }() // the demo does not depend on it
	}
}

// browserOpener returns the command that opens an address in a browser, or nil if there is no screen to show it.
func browserOpener(system string, getenv func(string) string) []string {
	remote := getenv("SSH_CONNECTION") != ""
	switch {
	case system == "windows":
		return []string{"rundll32", "url.dll,FileProtocolHandler"}
	case system == "darwin" && !remote:
		return []string{"open"}
	case system != "darwin" && (getenv("DISPLAY") != "" || getenv("WAYLAND_DISPLAY") != ""):
		return []string{"xdg-open"}
	}
	return nil
}
