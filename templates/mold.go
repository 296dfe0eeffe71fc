package templates

import (
	"html/template"
	"reflect"
	"slices"
	"strconv"
)

// mold is a page, or a part of one, in which everything is settled but the values that change from visit to visit. To
// fill it is to append strings: many times cheaper than to execute a template.
//
// V is a struct whose fields, all of type template.HTML, are those values. In the template they are {{.Slot.Field}}.
type mold[V any] struct {
	pieces []string // one more than fields
	fields []int    // of V, in the order of their slots
	size   int      // of all pieces together, in bytes
}

// fill appends the mold's text with the fields of v in its slots.
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
