package redisstore

import (
	"bytes"
	"cmp"
	"encoding"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

const (
	// maxDepth bounds how deeply values are nested: what contains itself is nested without end.
	maxDepth = 100
	// base64Note, behind a type, says that a string's bytes are no UTF-8 and stand there in base64.
	base64Note = ";base64"
	// timeLayout is RFC 3339, with +00:00 for a time that has no offset and is not in UTC.
	timeLayout = "2006-01-02T15:04:05.999999999-07:00"
)

// A value becomes the JSON text of its field, and the Go types that the text does not say: of a string, a bool, an int, a
// float64, nil, and []any and map[string]any of them, it says all. A float is known by its point or exponent. The types are
// one name for the whole value, or a JSON object: to the place of each (RFC 6901) its name.

// encoder writes one value.
type encoder struct {
	types types
	text  bytes.Buffer
	notes map[string]string
	path  []byte // where in the value it is, as a JSON pointer
	depth int
}

// encode returns v as the text of a field and its types.
func (t types) encode(v any) (text, types string, err error) {
	switch v := v.(type) {
	case int:
		return strconv.Itoa(v), "", nil
	case bool:
		return strconv.FormatBool(v), "", nil
	}
	e := encoder{types: t}
	if err := e.dynamic(reflect.ValueOf(v)); err != nil {
		return "", "", err
	}
	root, ok := e.notes[""]
	switch {
	case len(e.notes) == 0:
	case len(e.notes) == 1 && ok:
		types = root
	default:
		all, err := json.Marshal(e.notes)
		if err != nil {
			return "", "", fmt.Errorf("%w: a value's types cannot be written", ErrInvalid)
		}
		types = string(all)
	}
	return e.text.String(), types, nil
}

// at goes on with a part of the value.
func (e *encoder) at(part string, write func() error) error {
	length := len(e.path)
	e.path = append(append(e.path, '/'), pointerEscapes.Replace(part)...)
	err := write()
	e.path = e.path[:length]
	return err
}

var pointerEscapes = strings.NewReplacer("~", "~0", "/", "~1")

func (e *encoder) note(text string) {
	if e.notes == nil {
		e.notes = make(map[string]string)
	}
	e.notes[string(e.path)] += text
}

// dynamic writes what an interface holds, and notes its type where the JSON does not say it.
func (e *encoder) dynamic(v reflect.Value) error {
	if !v.IsValid() {
		e.text.WriteString("null")
		return nil
	}
	typ := v.Type()
	if !jsonTypes[typ] || isNilable(typ) && v.IsNil() || typ == objectType && !isObject(v) {
		name, err := e.types.name(typ)
		if err != nil {
			return err
		}
		e.note(name)
	}
	return e.value(v)
}

func isNilable(typ reflect.Type) bool {
	switch typ.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map, reflect.Interface:
		return true
	}
	return false
}

// value writes a value whose type is known where it is read.
func (e *encoder) value(v reflect.Value) error {
	if e.depth++; e.depth > maxDepth {
		return fmt.Errorf("%w: a value is nested more than %d deep, or contains itself", ErrInvalid, maxDepth)
	}
	defer func() { e.depth-- }()
	typ := v.Type()
	switch kind := typ.Kind(); kind {
	case reflect.Bool:
		e.text.WriteString(strconv.FormatBool(v.Bool()))
	case reflect.String:
		e.string(v.String())
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		e.text.WriteString(strconv.FormatInt(v.Int(), 10))
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		e.text.WriteString(strconv.FormatUint(v.Uint(), 10))
	case reflect.Float32, reflect.Float64:
		return e.float(v.Float(), typ.Bits())
	case reflect.Complex64, reflect.Complex128:
		e.string(strconv.FormatComplex(v.Complex(), 'g', -1, typ.Bits()))
	case reflect.Struct:
		return e.structure(v)
	}
	if isNilable(typ) && v.IsNil() {
		e.text.WriteString("null")
		return nil
	}
	switch typ.Kind() {
	case reflect.Interface:
		return e.dynamic(v.Elem())
	case reflect.Pointer:
		if isNilable(typ.Elem()) { // [null] is a pointer to nil
			return e.list(1, func(int) error { return e.value(v.Elem()) })
		}
		return e.value(v.Elem())
	case reflect.Slice, reflect.Array:
		if typ.Elem().Kind() == reflect.Uint8 {
			e.string(base64.StdEncoding.EncodeToString(bytesOf(v)))
			return nil
		}
		return e.list(v.Len(), func(i int) error { return e.value(v.Index(i)) })
	case reflect.Map:
		return e.mapping(v)
	}
	return nil
}

// bytesOf returns the bytes of a slice or an array, which may not be addressable.
func bytesOf(v reflect.Value) []byte {
	b := make([]byte, v.Len())
	for i := range b {
		b[i] = byte(v.Index(i).Uint())
	}
	return b
}

func (e *encoder) string(text string) {
	if !utf8.ValidString(text) {
		e.note(base64Note)
		text = base64.StdEncoding.EncodeToString([]byte(text))
	}
	e.json(text)
}

// json writes what encoding/json can write without an error.
func (e *encoder) json(v any) {
	enc := json.NewEncoder(&e.text)
	enc.SetEscapeHTML(false) // the text is for redis-cli, not for a page
	_ = enc.Encode(v)
	e.text.Truncate(e.text.Len() - 1) // the line feed
}

func (e *encoder) float(f float64, bits int) error {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return fmt.Errorf("%w: JSON has no %v; keep a float that is a number", ErrInvalid, f)
	}
	text := strconv.FormatFloat(f, 'g', -1, bits)
	if abs := math.Abs(f); abs == 0 || abs >= 1e-6 && abs < 1e21 {
		text = strconv.FormatFloat(f, 'f', -1, bits)
	}
	if !strings.ContainsAny(text, ".e") {
		text += ".0" // so that it comes back as a float
	}
	e.text.WriteString(text)
	return nil
}

// list writes an array of n elements.
func (e *encoder) list(n int, element func(i int) error) error {
	e.text.WriteByte('[')
	for i := range n {
		if i > 0 {
			e.text.WriteByte(',')
		}
		if err := e.at(strconv.Itoa(i), func() error { return element(i) }); err != nil {
			return err
		}
	}
	e.text.WriteByte(']')
	return nil
}

// member writes a name of an object, and its value.
func (e *encoder) member(first bool, name string, value reflect.Value) error {
	if !first {
		e.text.WriteByte(',')
	}
	e.json(name)
	e.text.WriteByte(':')
	return e.at(name, func() error { return e.value(value) })
}

func (e *encoder) structure(v reflect.Value) error {
	typ := v.Type()
	if typ == timeType {
		return e.time(v.Interface().(time.Time))
	}
	if methods := methodsOf(typ); methods != "" {
		return e.marshal(v, methods)
	}
	e.text.WriteByte('{')
	for i := range typ.NumField() {
		if err := e.member(i == 0, typ.Field(i).Name, v.Field(i)); err != nil {
			return err
		}
	}
	e.text.WriteByte('}')
	return nil
}

func (e *encoder) time(t time.Time) error {
	const day = 24 * 60 * 60
	if _, offset := t.Zone(); offset%60 != 0 || offset < -day || offset > day {
		t = t.UTC() // RFC 3339 has neither seconds nor more than a day there
	}
	if year := t.Year(); year < 0 || year > 9999 {
		return fmt.Errorf("%w: RFC 3339 has no year %d", ErrInvalid, year)
	}
	layout := timeLayout
	if t.Location() == time.UTC {
		layout = time.RFC3339Nano
	}
	e.json(t.Format(layout))
	return nil
}

// marshal writes a value by its own methods.
func (e *encoder) marshal(v reflect.Value, methods string) error {
	p := reflect.New(v.Type())
	p.Elem().Set(v)
	var text []byte
	var err error
	switch m := p.Interface(); methods {
	case "text":
		text, err = m.(encoding.TextMarshaler).MarshalText()
		e.string(string(text))
	case "binary":
		text, err = m.(encoding.BinaryMarshaler).MarshalBinary()
		e.string(base64.StdEncoding.EncodeToString(text))
	case "json":
		text, err = m.(json.Marshaler).MarshalJSON()
		if err == nil {
			err = json.Compact(&e.text, text)
		}
	}
	if err != nil || !utf8.Valid(e.text.Bytes()) {
		return fmt.Errorf("%w: a %v could not be written by its own methods", ErrInvalid, v.Type())
	}
	return nil
}

// mapping writes a map: as an object if its keys are whole numbers or UTF-8, else as an array of pairs, in a fixed order.
func (e *encoder) mapping(v reflect.Value) error {
	type entry struct {
		name       string
		key, value reflect.Value
	}
	var entries []entry
	for iter := v.MapRange(); iter.Next(); {
		key := iter.Key()
		if kind := key.Kind(); kind == reflect.Pointer || kind == reflect.Interface && key.Elem().Kind() == reflect.Pointer {
			return fmt.Errorf("%w: a pointer that is a map's key would be another one when it comes back", ErrInvalid)
		}
		name, _ := nameOf(key)
		entries = append(entries, entry{name, key, iter.Value()})
	}
	if isObject(v) {
		slices.SortFunc(entries, func(a, b entry) int { return cmp.Compare(a.name, b.name) })
		e.text.WriteByte('{')
		for i, entry := range entries {
			if err := e.member(i == 0, entry.name, entry.value); err != nil {
				return err
			}
		}
		e.text.WriteByte('}')
		return nil
	}
	for i := range entries {
		alone := encoder{types: e.types, depth: e.depth}
		if err := alone.value(entries[i].key); err != nil {
			return err
		}
		entries[i].name = alone.text.String() + alone.notes[""]
	}
	slices.SortFunc(entries, func(a, b entry) int { return cmp.Compare(a.name, b.name) })
	return e.list(len(entries), func(i int) error {
		pair := [2]reflect.Value{entries[i].key, entries[i].value}
		return e.list(2, func(j int) error { return e.value(pair[j]) })
	})
}

// isObject reports whether all keys of a map can be names of a JSON object.
func isObject(v reflect.Value) bool {
	for iter := v.MapRange(); iter.Next(); {
		if _, ok := nameOf(iter.Key()); !ok {
			return false
		}
	}
	return true
}

// nameOf returns a map's key as a name of a JSON object.
func nameOf(key reflect.Value) (string, bool) {
	switch {
	case key.Kind() == reflect.String:
		return key.String(), utf8.ValidString(key.String())
	case key.CanInt():
		return strconv.FormatInt(key.Int(), 10), true
	case key.CanUint():
		return strconv.FormatUint(key.Uint(), 10), true
	}
	return "", false
}

// decoder reads one value.
type decoder struct {
	types types
	notes map[string]string
	inner bool // there are notes of parts
}

// errMismatch reports a text that its types do not fit.
var errMismatch = fmt.Errorf("%w: a field is not of the type that is noted beside it", ErrCorrupt)

// decode is the reverse of encode. A type that the store does not know, because another version of the program does, comes
// back as the JSON has it. Every failure is an [ErrCorrupt].
func (t types) decode(text, types string) (any, error) {
	if n, ok := count(text); ok && types == "" {
		return n, nil
	}
	if !utf8.ValidString(text) {
		return nil, fmt.Errorf("%w: a field is not UTF-8", ErrCorrupt)
	}
	dec := json.NewDecoder(strings.NewReader(text))
	dec.UseNumber()
	var tree any
	if err := dec.Decode(&tree); err != nil {
		return nil, fmt.Errorf("%w: a field is not JSON", ErrCorrupt)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%w: a field is more than one JSON value", ErrCorrupt)
	}
	d := decoder{types: t, notes: map[string]string{"": types}}
	if strings.HasPrefix(types, "{") {
		d.notes, d.inner = nil, true
		if err := json.Unmarshal([]byte(types), &d.notes); err != nil {
			return nil, fmt.Errorf("%w: a field's types are not JSON", ErrCorrupt)
		}
	}
	return d.dynamic(tree, "")
}

// count is the short way for what most fields are: a whole number of few digits.
func count(text string) (n int, ok bool) {
	if text == "" || len(text) > 18 || strings.Trim(text, "0123456789") != "" || text[0] == '0' && len(text) > 1 {
		return 0, false
	}
	n, err := strconv.Atoi(text)
	return n, err == nil
}

// part returns the path of a part of the value at path.
func (d *decoder) part(path, name string) string {
	if !d.inner {
		return "/" // nobody has a note there
	}
	return path + "/" + pointerEscapes.Replace(name)
}

// dynamic returns what an interface held.
func (d *decoder) dynamic(tree any, path string) (any, error) {
	if typ := d.types.parse(strings.TrimSuffix(d.notes[path], base64Note)); typ != nil && typ.Kind() != reflect.Interface {
		v := reflect.New(typ).Elem()
		err := d.value(v, tree, path)
		if n, ok := tree.(json.Number); ok && err != nil && (v.CanInt() || v.CanUint()) {
			if n, overflow := strconv.Atoi(n.String()); overflow == nil {
				return n, nil // increments have led it out of the range of its type
			}
		}
		return v.Interface(), err
	}
	var err error
	switch v := tree.(type) {
	case string:
		return d.string(v, path)
	case json.Number:
		return number(v), nil
	case []any:
		for i := range v {
			if v[i], err = d.dynamic(v[i], d.part(path, strconv.Itoa(i))); err != nil {
				return nil, err
			}
		}
	case map[string]any:
		for name := range v {
			if v[name], err = d.dynamic(v[name], d.part(path, name)); err != nil {
				return nil, err
			}
		}
	}
	return tree, nil
}

// number returns an int for whole numbers that fit into one and a float64 for those with a point or an
// exponent; a number that fits into neither keeps its digits as a json.Number.
func number(n json.Number) any {
	if !strings.ContainsAny(n.String(), ".eE") {
		if i, err := strconv.Atoi(n.String()); err == nil {
			return i
		}
		return n
	}
	f, err := n.Float64()
	if err != nil {
		return n
	}
	return f
}

func (d *decoder) string(text, path string) (string, error) {
	if !strings.HasSuffix(d.notes[path], base64Note) {
		return text, nil
	}
	raw, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return "", errMismatch
	}
	return string(raw), nil
}

// value sets v, which is the zero value of its type, to what the tree says.
func (d *decoder) value(v reflect.Value, tree any, path string) error {
	typ := v.Type()
	if typ.Kind() == reflect.Interface {
		return d.face(v, tree, path)
	}
	if isNilable(typ) && tree == nil {
		return nil
	}
	switch typ.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(typ.Elem()))
		if isNilable(typ.Elem()) {
			return d.list(tree, 1, func(_ int, tree any) error { return d.value(v.Elem(), tree, d.part(path, "0")) })
		}
		return d.value(v.Elem(), tree, path)
	case reflect.Slice, reflect.Array:
		return d.elements(v, tree, path)
	case reflect.Map:
		return d.mapping(v, tree, path)
	case reflect.Struct:
		return d.structure(v, tree, path)
	case reflect.Bool:
		b, ok := tree.(bool)
		if !ok {
			return errMismatch
		}
		v.SetBool(b)
		return nil
	}
	switch tree := tree.(type) {
	case json.Number:
		return setNumber(v, tree.String())
	case string:
		text, err := d.string(tree, path)
		if err != nil {
			return err
		}
		if typ.Kind() == reflect.String {
			v.SetString(text)
			return nil
		}
		if v.CanComplex() {
			c, err := strconv.ParseComplex(text, typ.Bits())
			v.SetComplex(c)
			return mismatch(err)
		}
	}
	return errMismatch
}

func mismatch(err error) error {
	if err != nil {
		return errMismatch
	}
	return nil
}

func setNumber(v reflect.Value, text string) (err error) {
	switch typ := v.Type(); {
	case v.CanInt():
		var n int64
		n, err = strconv.ParseInt(text, 10, typ.Bits())
		v.SetInt(n)
	case v.CanUint():
		var n uint64
		n, err = strconv.ParseUint(text, 10, typ.Bits())
		v.SetUint(n)
	case v.CanFloat():
		var f float64
		f, err = strconv.ParseFloat(text, typ.Bits())
		v.SetFloat(f)
	default:
		return errMismatch
	}
	return mismatch(err)
}

// face sets an interface.
func (d *decoder) face(v reflect.Value, tree any, path string) error {
	held, err := d.dynamic(tree, path)
	if err != nil || held == nil {
		return err
	}
	if !reflect.TypeOf(held).AssignableTo(v.Type()) {
		return errMismatch
	}
	v.Set(reflect.ValueOf(held))
	return nil
}

// list calls f for each element of an array, of which there have to be n.
func (d *decoder) list(tree any, n int, f func(i int, tree any) error) error {
	elements, ok := tree.([]any)
	if !ok || len(elements) != n {
		return errMismatch
	}
	for i, element := range elements {
		if err := f(i, element); err != nil {
			return err
		}
	}
	return nil
}

// elements sets a slice or an array.
func (d *decoder) elements(v reflect.Value, tree any, path string) error {
	isSlice := v.Kind() == reflect.Slice
	if v.Type().Elem().Kind() == reflect.Uint8 {
		text, ok := tree.(string)
		raw, err := base64.StdEncoding.DecodeString(text)
		if !ok || err != nil || !isSlice && len(raw) != v.Len() {
			return errMismatch
		}
		if isSlice {
			v.Set(reflect.MakeSlice(v.Type(), len(raw), len(raw)))
		}
		for i, b := range raw {
			v.Index(i).SetUint(uint64(b))
		}
		return nil
	}
	elements, ok := tree.([]any)
	if ok && isSlice {
		v.Set(reflect.MakeSlice(v.Type(), len(elements), len(elements)))
	}
	return d.list(tree, v.Len(), func(i int, tree any) error { return d.value(v.Index(i), tree, d.part(path, strconv.Itoa(i))) })
}

// mapping sets a map.
func (d *decoder) mapping(v reflect.Value, tree any, path string) error {
	typ := v.Type()
	v.Set(reflect.MakeMap(typ))
	entry := func() (key, value reflect.Value) {
		return reflect.New(typ.Key()).Elem(), reflect.New(typ.Elem()).Elem()
	}
	if object, ok := tree.(map[string]any); ok {
		for name, tree := range object {
			key, value := entry()
			if key.Kind() == reflect.String {
				key.SetString(name)
			} else if !key.CanInt() && !key.CanUint() || setNumber(key, name) != nil {
				return errMismatch
			}
			if err := d.value(value, tree, d.part(path, name)); err != nil {
				return err
			}
			v.SetMapIndex(key, value)
		}
		return nil
	}
	entries, _ := tree.([]any)
	return d.list(tree, len(entries), func(i int, tree any) error {
		key, value := entry()
		path := d.part(path, strconv.Itoa(i))
		err := d.list(tree, 2, func(j int, tree any) error {
			return d.value([]reflect.Value{key, value}[j], tree, d.part(path, strconv.Itoa(j)))
		})
		if err != nil {
			return err
		}
		if !key.Comparable() {
			return errMismatch
		}
		v.SetMapIndex(key, value)
		return nil
	})
}

// structure sets a struct. Fields that are missing in the text stay zero, and those that the struct does not have are left
// out: it may have changed since.
func (d *decoder) structure(v reflect.Value, tree any, path string) error {
	typ := v.Type()
	if typ == timeType {
		text, _ := tree.(string)
		t, err := time.Parse(time.RFC3339Nano, text)
		v.Set(reflect.ValueOf(t))
		return mismatch(err)
	}
	if methods := methodsOf(typ); methods != "" {
		return d.unmarshal(v, tree, path, methods)
	}
	object, ok := tree.(map[string]any)
	if !ok {
		return errMismatch
	}
	for i := range typ.NumField() {
		name := typ.Field(i).Name
		if tree, ok := object[name]; ok {
			if err := d.value(v.Field(i), tree, d.part(path, name)); err != nil {
				return err
			}
		}
	}
	return nil
}

// unmarshal sets a value by its own methods.
func (d *decoder) unmarshal(v reflect.Value, tree any, path, methods string) error {
	p := v.Addr().Interface()
	text, _ := tree.(string)
	switch methods {
	case "text":
		text, err := d.string(text, path)
		if err != nil {
			return err
		}
		return mismatch(p.(encoding.TextUnmarshaler).UnmarshalText([]byte(text)))
	case "binary":
		raw, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			return errMismatch
		}
		return mismatch(p.(encoding.BinaryUnmarshaler).UnmarshalBinary(raw))
	}
	raw, err := json.Marshal(tree)
	if err != nil {
		return errMismatch
	}
	return mismatch(p.(json.Unmarshaler).UnmarshalJSON(raw))
}

// same reports whether two texts with their types mean the same value, although other programs may write it with other
// blanks or in another order, and this one may not know a type.
func (t types) same(text, types, stored, storedTypes string) bool {
	if text == stored && types == storedTypes {
		return true
	}
	v, err := t.decode(stored, storedTypes)
	if err != nil {
		return false
	}
	canonical, canonicalTypes, err := t.encode(v)
	return err == nil && canonical == text && canonicalTypes == types
}

// fieldName returns key as the name of a field, or an error where it cannot be one.
func fieldName(key any) (string, error) {
	name, ok := key.(string)
	switch {
	case !ok:
		return "", fmt.Errorf("%w: a session's keys are strings, not %T", ErrInvalid, key)
	case name == "" || strings.HasPrefix(name, reserved):
		return "", fmt.Errorf("%w: a session's keys are not empty and do not start with %s", ErrInvalid, reserved)
	case strings.Contains(name, "\x00") || !utf8.ValidString(name):
		return "", fmt.Errorf("%w: a session's keys are UTF-8 without NUL", ErrInvalid)
	}
	return name, nil
}
