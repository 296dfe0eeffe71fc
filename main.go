// Visit Counter counts each visitor's visits in a session kept in Redis, and proves on its own page that the count
// survives restarts, crashes, deployments and being served by any instance.
package main

import (
	"os"

	"visit-counter/internal/commands"
)

func main() { os.Exit(commands.Main()) }
