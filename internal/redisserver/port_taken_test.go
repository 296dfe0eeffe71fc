package redisserver

import "testing"

func TestSomebodyElsesServerIsNeverTakenForOurs(t *testing.T) {
	other, err := Start(t.Context(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = other.Close() }()
	s := &Server{port: other.port, dir: t.TempDir()}
	if err := s.writeConfig(); err != nil {
		t.Fatal(err)
	}
	if err := s.launch(t.Context()); err == nil {
		t.Error("a server started on a port that was taken")
	}
	if !other.Running() {
		t.Error("the other server does not run any more")
	}
}
