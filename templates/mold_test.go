package templates

import (
	"html/template"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"text/template/parse"
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

// tokens is what a browser reads in a page.
func tokens(page string) (all []html.Token) {
	z := html.NewTokenizer(strings.NewReader(page))
	for z.Next() != html.ErrorToken {
		all = append(all, z.Token())
	}
	return all
}

// TestHTMLTemplateSaysTheSame holds each template, with hostile words wherever a word can stand, against html/template,
// which escapes for the place.
func TestHTMLTemplateSaysTheSame(t *testing.T) {
	const word = `"><script>alert(1)</script>'&amp; {{.}} =a+b`
	trusted := template.Must(template.New("").Funcs(template.FuncMap{"command": command}).ParseFS(files, "*.html"))
	trees, err := parseFiles(files)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 128 {
		bit := func(n int) bool { return i>>n&1 != 0 }
		data := page{
			Settings: Settings{
				Instance: word, RedisSource: word, RedisAddress: word, CookieName: word, KeyPrefix: word,
				Unverified: bit(0), DemoControls: bit(1),
			},
			Style: "/static/s.css", Script: "/static/s.js", Icon: "/static/f.svg",
			InMemory: bit(2), KeepCommands: []string{word, word},
			variant: variant{First: bit(3), New: bit(4), Routed: bit(5)},
		}
		if bit(6) {
			data.RedisCLI = word
		}
		problem := Problem{Status: 503, Title: word, Wrong: word, Todo: word, CountSafe: bit(3), Waiting: bit(4)}
		if bit(5) {
			problem.Commands, problem.Button = []string{word, "", word}, word
		}
		both := struct {
			page
			Problem
		}{data, problem}
		same[homeSlots](t, trusted, trees, "home", data, word)
		same[struct{}](t, trusted, trees, "problem", both, word)
	}
	for _, name := range []string{"row", "current", "earlier"} {
		same[rowSlots](t, trusted, trees, name, page{}, word)
	}
	for _, name := range []string{"node", "lit", "more"} {
		same[nodeSlots](t, trusted, trees, name, page{}, word)
	}
}

// same compares a mold that is filled with word with what html/template makes of the same template.
func same[V any](t *testing.T, trusted *template.Template, trees map[string]*parse.Tree, name string, data any, word string) {
	t.Helper()
	m, err := cast[V](trees, name, data)
	if err != nil {
		t.Fatal(err)
	}
	words := map[string]string{}
	for _, field := range reflect.VisibleFields(reflect.TypeFor[V]()) {
		words[field.Name] = word
	}
	var want strings.Builder
	err = trusted.ExecuteTemplate(&want, name, withSlots(data, words))
	if err != nil {
		t.Fatal(err)
	}
	got := tokens(filled(m, string(text(word))))
	if !reflect.DeepEqual(got, tokens(want.String())) || len(got) == 0 {
		t.Fatalf("%s with %+v reads\n%v\nhtml/template writes\n%s", name, data, got, want.String())
	}
}

// withSlots is the data of a template, with the slots that html/template has to find in it.
func withSlots(data any, slots map[string]string) map[string]any {
	all := map[string]any{"Slot": slots}
	for _, field := range reflect.VisibleFields(reflect.TypeOf(data)) {
		if !field.Anonymous {
			all[field.Name] = reflect.ValueOf(data).FieldByIndex(field.Index).Interface()
		}
	}
	return all
}

func TestATemplateThatIsNotUnderstoodIsAnError(t *testing.T) {
	for source, want := range map[string]string{
		`{{.Slot.Nonsense}}`:                       "no slot Nonsense",
		`{{.Nonsense}}`:                            ".Nonsense is not known here",
		`{{if .Slot.Name}}x{{end}}`:                ".Slot.Name is not known here",
		`{{range .KeepCommands}}{{.X}}{{end}}`:     ".X is not known here",
		`{{template "nowhere" .}}`:                 `no template "nowhere"`,
		`{{template "broken"}}`:                    "without data",
		`{{nonsense .Instance}}`:                   "calls nothing",
		`{{command .Unverified}}`:                  "calls nothing",
		`{{range .Instance}}x{{end}}`:              "a walk through",
		`{{range .KeepCommands}}x{{else}}y{{end}}`: "a walk through",
		`{{.Instance | command}}`:                  "more than one",
		`{{$x := .Instance}}`:                      "more than one",
		`{{with .Instance}}x{{end}}`:               "is not understood",
		`{{range .X}}x{{end}}`:                     ".X is not known here",
		`{{template "head" .X}}`:                   ".X is not known here",
		`{{.Started}}`:                             "is a time.Time, which has no text",
		`{{if .Unverified}}x`:                      "unexpected EOF",
	} {
		trees, err := parseFiles(fstest.MapFS{"broken.html": {Data: []byte(`{{define "broken"}}` + source + `{{end}}`)}})
		if err == nil {
			_, err = castAll[nodeSlots](trees, page{Settings: Settings{Instance: "x"}, KeepCommands: []string{"x"}}, "broken")
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s is the error %v; want one that says %q", source, err, want)
		}
	}
}

func TestTextIsEscapedForElementsAndQuotedAttributes(t *testing.T) {
	if got, want := text(`<a href="x" title='y'>&`), template.HTML("&lt;a href=&#34;x&#34; title=&#39;y&#39;&gt;&amp;"); got != want {
		t.Errorf("text = %s; want %s", got, want)
	}
}
