//go:build race

package e2e

import (
	"os"
	"strings"
	"testing"
)

func TestADataRaceOfAProcessIsFound(t *testing.T) {
	t.Parallel()
	r := recorder{TB: t}
	i := launch(&r, command(t, []string{roleVariable + "=race"}, os.Args[0]))
	<-i.exited
	r.end()
	if len(r.errors) != 1 || !strings.Contains(r.errors[0], "DATA RACE") {
		t.Errorf("the errors are %q, want one about a data race", r.errors)
	}
}
