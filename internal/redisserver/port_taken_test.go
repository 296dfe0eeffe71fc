package redisserver

import "testing"

func TestAServerOnATakenPortIsAnError(t *testing.T) {
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
		t.Error("a server started on a port that another one uses")
	}
	if !other.Running() {
		t.Error("the other server no longer runs")
	}
}
