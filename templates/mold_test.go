package templates

import (
	"html/template"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"
)

type names map[string]string

func (n names) URL(name string) string { return n[name] }

func testPages(t *testing.T) *Pages {
	t.Helper()
	urls := names{"style.css": "/static/s.css", "script.js": "/static/s.js", "favicon.svg": "/static/f.svg"}
	p, err := New(urls, Settings{Store: Redis, RedisCLI: "redis-cli", Unverified: true, DemoControls: true, Started: time.Unix(0, 0)})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// filled is the mold with word in each of its slots.
func filled[V any](m *mold[V], word string) string {
	var v V
	for _, field := range reflect.ValueOf(&v).Elem().Fields() {
		field.SetString(word)
	}
	return string(m.fill(nil, &v))
}

func TestSlotsStandOnlyWhereOneEscapingIsRight(t *testing.T) {
	const word = "slot-content"
	safe := []string{"class", "height", "width", "y", "y1", "y2"}
	p := testPages(t)
	parts := map[string]string{}
	for v, m := range p.homes {
		parts["home"] += filled(m, word)
		if len(m.fields) == 0 {
			t.Errorf("variant %+v has no slot", v)
		}
	}
	for name, m := range p.rows {
		parts[name] = "<table>" + filled(m, word)
	}
	for name, m := range p.nodes {
		parts[name] = "<svg>" + filled(m, word)
	}
	for name, part := range parts {
		if !strings.Contains(part, word) {
			t.Errorf("%s has no slot", name)
		}
		z := html.NewTokenizer(strings.NewReader(part))
		for z.Next() != html.ErrorToken {
			token := z.Token()
			for _, a := range token.Attr {
				if strings.Contains(a.Val, word) && !slices.Contains(safe, a.Key) {
					t.Errorf("%s: a slot stands in the attribute %s of <%s>", name, a.Key, token.Data)
				}
			}
			if token.Type == html.CommentToken && strings.Contains(token.Data, word) {
				t.Errorf("%s: a slot stands in a comment", name)
			}
			if token.Type == html.StartTagToken && (token.Data == "script" || token.Data == "style") {
				if z.Next() == html.TextToken {
					t.Errorf("%s: <%s> has content", name, token.Data)
				}
			}
		}
	}
}

func TestAMarkThatDoesNotSurviveIsAnError(t *testing.T) {
	broken := template.Must(template.New("broken").Parse(`{{printf "%.26s" .Slot.Name}}cut.`))
	if _, err := newMold[nodeSlots](broken, "broken", page{}); err == nil {
		t.Error("newMold accepted a template that cuts its mark; want an error")
	}
	unknown := template.Must(template.New("unknown").Parse(`{{.Slot.Nonsense}}`))
	if _, err := newMolds[nodeSlots](unknown, page{}, "unknown"); err == nil {
		t.Error("newMolds accepted an unknown slot; want an error")
	}
}

func TestTextIsEscapedForElementsAndQuotedAttributes(t *testing.T) {
	if got, want := text(`<a href="x" title='y'>&`), template.HTML("&lt;a href=&#34;x&#34; title=&#39;y&#39;&gt;&amp;"); got != want {
		t.Errorf("text = %s; want %s", got, want)
	}
}
