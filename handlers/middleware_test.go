package handlers

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gin-gonic/gin"

	"visit-counter/internal/config"
	"visit-counter/templates"
)

// newTestApp returns the engine of an app without a store, and the app's log.
func newTestApp(t *testing.T) (*gin.Engine, *bytes.Buffer) {
	t.Helper()
	gin.SetMode(gin.TestMode)
	pages, err := templates.New(templates.Settings{Instance: "web.1", Started: time.Now(), Store: config.StoreNone})
	if err != nil {
		t.Fatal(err)
	}
	log := new(bytes.Buffer)
	routes := New(slog.New(slog.NewJSONHandler(log, nil)), pages, nil, Options{Draining: func() bool { return false }})
	return routes.(*gin.Engine), log
}

func TestPanicIsAnsweredWithoutSecrets(t *testing.T) {
	const secret = "s3cr3t-of-the-test"
	for name, cause := range map[string]any{
		"a text": "dial redis://:" + secret + "@host", "an error": errors.New(secret), "a request": http.Header{"Cookie": {secret}},
	} {
		for accept, contentType := range map[string]string{"text/html": "text/html; charset=utf-8", "application/json": "application/json; charset=utf-8"} {
			engine, log := newTestApp(t)
			engine.GET("/panic/:id", func(*gin.Context) { panic(cause) })
			request := httptest.NewRequest(http.MethodGet, "/panic/"+secret+"?q="+secret, nil)
			request.Header = http.Header{"Cookie": {"session=" + secret}, "Authorization": {"Bearer " + secret}, "Accept": {accept}}
			answer := httptest.NewRecorder()
			engine.ServeHTTP(answer, request)
			if answer.Code != http.StatusInternalServerError || answer.Header().Get("Content-Type") != contentType ||
				answer.Header().Get("Cache-Control") != "no-store" || answer.Header().Get("Content-Security-Policy") == "" {
				t.Errorf("%s: %d, %v", name, answer.Code, answer.Header())
			}
			if strings.Contains(answer.Body.String()+log.String(), secret) {
				t.Errorf("%s: the answer or the log contains a secret:\n%s\n%s", name, answer.Body, log)
			}
			if strings.Contains(answer.Body.String(), "goroutine") || !strings.Contains(log.String(), "TestPanicIsAnswered") {
				t.Errorf("%s: the stack is in the answer, or not in the log", name)
			}
			lines := strings.Split(strings.TrimSpace(log.String()), "\n")
			if len(lines) != 2 || !json.Valid([]byte(lines[0])) || !strings.Contains(lines[1], `"status":500`) {
				t.Errorf("%s: the log has %d lines: %s", name, len(lines), log)
			}
		}
	}
}

func TestPanicAfterTheAnswerHasBegunCutsTheConnection(t *testing.T) {
	engine, log := newTestApp(t)
	engine.GET("/panic", func(c *gin.Context) {
		c.String(http.StatusOK, "the first half")
		c.Writer.Flush()
		panic("halfway")
	})
	server := httptest.NewServer(engine)
	defer server.Close()
	answer, err := http.Get(server.URL + "/panic")
	if err == nil {
		var body bytes.Buffer
		_, err = body.ReadFrom(answer.Body)
		_ = answer.Body.Close()
	}
	if err == nil {
		t.Error("half an answer looks complete")
	}
	server.Close()
	if !strings.Contains(log.String(), `"msg":"panic"`) {
		t.Errorf("the log does not report the panic: %s", log)
	}
}
