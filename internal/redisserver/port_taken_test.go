package redisserver

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"
)

func TestTakenPortIsAnErrorAndNeverSomebodyElsesServer(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	other, err := Start(ctx, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = other.Close() }()
	free, err := ReservePort()
	if err != nil {
		t.Fatal(err)
	}
	defer free.Release()
	// With a port line of its own the process runs happily elsewhere, while the other server answers for it.
	for _, config := range [][]string{nil, {fmt.Sprintf("port %d", free.Number)}} {
		s := &Server{program: other.program, opts: Options{Config: config}, port: other.port, dir: t.TempDir()}
		if err := s.writeConfig(); err != nil {
			t.Fatal(err)
		}
		if err := s.launch(ctx); !errors.Is(err, errPortTaken) {
			t.Errorf("config %q: error = %v, want that the port is taken", config, err)
		}
	}
	if !other.Running() {
		t.Error("the other server does not run any more")
	}
}
