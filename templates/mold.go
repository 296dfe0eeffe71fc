package templates

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"html/template"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// mold is a template that was executed once, when the process started, with a mark for every value that changes from
// visit to visit, and then cut at the marks. To fill it is to append strings: many times cheaper than to execute the
// template again, while html/template has escaped everything that stays the same.
//
// V is a struct whose fields, all of type template.HTML, are those values. In the template they are {{.Slot.Field}},
// and may stand in text or in a quoted attribute that is no URL, style or script: there one escaping is right for all.
type mold[V any] struct {
	pieces []string // one more than fields
	fields []int    // of V, in the order of their slots
	size   int      // of all pieces together, in bytes
}

// newMold executes the named template of t with data, and marks in its Slot.
func newMold[V any](t *template.Template, name string, data page) (*mold[V], error) {
	var marks V
	nonce := rand.Text() // nobody can put it into a setting and so forge a mark
	for i, field := range reflect.ValueOf(&marks).Elem().Fields() {
		field.SetString(nonce + strconv.Itoa(i.Index[0]) + ".")
	}
	data.Slot = marks
	var buf bytes.Buffer
	if err := t.ExecuteTemplate(&buf, name, data); err != nil {
		return nil, err
	}
	parts := strings.Split(buf.String(), nonce)
	m := &mold[V]{pieces: parts[:1], size: len(parts[0])}
	for _, part := range parts[1:] {
		digits, rest, _ := strings.Cut(part, ".")
		field, err := strconv.Atoi(digits)
		if err != nil {
			return nil, fmt.Errorf("%s: a slot stands where its mark does not survive", name)
		}
		m.fields = append(m.fields, field)
		m.pieces = append(m.pieces, rest)
		m.size += len(rest)
	}
	return m, nil
}

// newMolds makes a mold of each of the named templates.
func newMolds[V any](t *template.Template, data page, names ...string) (map[string]*mold[V], error) {
	molds := make(map[string]*mold[V], len(names))
	for _, name := range names {
		m, err := newMold[V](t, name, data)
		if err != nil {
			return nil, err
		}
		molds[name] = m
	}
	return molds, nil
}

// fill appends the template's text with the fields of v in its slots.
func (m *mold[V]) fill(dst []byte, v *V) []byte {
	fields := reflect.ValueOf(v).Elem()
	size := m.size
	for _, field := range m.fields {
		size += fields.Field(field).Len()
	}
	dst = slices.Grow(dst, size)
	for i, field := range m.fields {
		dst = append(dst, m.pieces[i]...)
		dst = append(dst, fields.Field(field).String()...)
	}
	return append(dst, m.pieces[len(m.fields)]...)
}

// text makes any string fit for a slot.
func text(s string) template.HTML { return template.HTML(template.HTMLEscapeString(s)) }

// digits makes a number fit for a slot.
func digits(n int64) template.HTML { return template.HTML(strconv.FormatInt(n, 10)) }
