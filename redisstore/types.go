package redisstore

import (
	"encoding"
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// maxArrayBytes bounds the arrays that the text of a type can make.
const maxArrayBytes = 1 << 20

var (
	anyType    = reflect.TypeFor[any]()
	sliceType  = reflect.TypeFor[[]any]()
	objectType = reflect.TypeFor[map[string]any]()
	timeType   = reflect.TypeFor[time.Time]()

	// jsonTypes are those that the JSON itself says.
	jsonTypes = map[reflect.Type]bool{
		reflect.TypeFor[string](): true, reflect.TypeFor[bool](): true, reflect.TypeFor[int](): true,
		reflect.TypeFor[float64](): true, sliceType: true, objectType: true,
	}
	basicTypes = []reflect.Type{
		reflect.TypeFor[string](), reflect.TypeFor[bool](),
		reflect.TypeFor[int](), reflect.TypeFor[int8](), reflect.TypeFor[int16](), reflect.TypeFor[int32](), reflect.TypeFor[int64](),
		reflect.TypeFor[uint](), reflect.TypeFor[uint8](), reflect.TypeFor[uint16](), reflect.TypeFor[uint32](), reflect.TypeFor[uint64](),
		reflect.TypeFor[uintptr](), reflect.TypeFor[float32](), reflect.TypeFor[float64](),
		reflect.TypeFor[complex64](), reflect.TypeFor[complex128](),
	}
)

// types are the named types that a store knows, by the names that sessions have for them.
type types struct {
	byName map[string]reflect.Type
	names  map[reflect.Type]string
}

func newTypes() types {
	t := types{map[string]reflect.Type{"any": anyType}, map[reflect.Type]string{anyType: "any"}}
	for _, typ := range append(basicTypes, timeType, reflect.TypeFor[time.Duration](), reflect.TypeFor[json.Number]()) {
		t.byName[typ.String()], t.names[typ] = typ, typ.String()
	}
	return t
}

// add makes a type known, or those that it is made of.
func (t types) add(typ reflect.Type) error {
	switch {
	case typ == nil:
		return fmt.Errorf("%w: a type is told by a value of it, not by nil", ErrInvalid)
	case t.names[typ] != "":
		return nil
	case typ.Name() == "" && typ.Kind() == reflect.Map:
		if err := t.add(typ.Key()); err != nil {
			return err
		}
		return t.add(typ.Elem())
	case typ.Name() == "" && isContainer(typ):
		return t.add(typ.Elem())
	case typ.Name() == "":
		return fmt.Errorf("%w: type %v has no name", ErrInvalid, typ)
	}
	if err := storable(typ, make(map[reflect.Type]bool)); err != nil {
		return fmt.Errorf("%w: type %v cannot be kept in a session: %w", ErrInvalid, typ, err)
	}
	name := typ.PkgPath() + "." + typ.Name()
	if _, taken := t.byName[name]; taken {
		return fmt.Errorf("%w: two types have the name %s", ErrInvalid, name)
	}
	t.byName[name], t.names[typ] = typ, name
	return nil
}

// isContainer reports whether a type's values are made of those of another.
func isContainer(typ reflect.Type) bool {
	switch typ.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Map:
		return true
	}
	return false
}

// storable returns what in a type could not come back from a session.
func storable(typ reflect.Type, seen map[reflect.Type]bool) error {
	if seen[typ] || typ == timeType || methodsOf(typ) != "" {
		return nil
	}
	seen[typ] = true
	switch typ.Kind() {
	case reflect.Chan, reflect.Func, reflect.UnsafePointer:
		return fmt.Errorf("it holds a %v", typ.Kind())
	case reflect.Map:
		if err := storable(typ.Key(), seen); err != nil {
			return err
		}
	case reflect.Struct:
		for i := range typ.NumField() {
			field := typ.Field(i)
			if !field.IsExported() {
				return fmt.Errorf("the field %s of %v is not exported; keep what you need in a type of your own, or give it the methods MarshalText and UnmarshalText", field.Name, typ)
			}
			if err := storable(field.Type, seen); err != nil {
				return err
			}
		}
	}
	if isContainer(typ) {
		return storable(typ.Elem(), seen)
	}
	return nil
}

// methodsOf returns by which of its own methods a struct that hides fields is written and read: "text", "json", "binary",
// or "" for none. What can be written field by field is, so that nothing is lost of it.
func methodsOf(typ reflect.Type) string {
	if typ.Kind() != reflect.Struct || typ == timeType {
		return ""
	}
	hides := false
	for i := range typ.NumField() {
		hides = hides || !typ.Field(i).IsExported()
	}
	p := reflect.PointerTo(typ)
	both := func(marshaler, unmarshaler reflect.Type) bool {
		return p.Implements(marshaler) && p.Implements(unmarshaler)
	}
	switch {
	case !hides:
		return ""
	case both(reflect.TypeFor[encoding.TextMarshaler](), reflect.TypeFor[encoding.TextUnmarshaler]()):
		return "text"
	case both(reflect.TypeFor[json.Marshaler](), reflect.TypeFor[json.Unmarshaler]()):
		return "json"
	case both(reflect.TypeFor[encoding.BinaryMarshaler](), reflect.TypeFor[encoding.BinaryUnmarshaler]()):
		return "binary"
	}
	return ""
}

// name returns a type as a session names it: as Go does, with the whole path of its package.
func (t types) name(typ reflect.Type) (string, error) {
	if name, ok := t.names[typ]; ok {
		return name, nil
	}
	var prefix string
	switch kind := typ.Kind(); {
	case typ.Name() != "":
		return "", fmt.Errorf("%w: type %v is not known to the store: name it in New, redisstore.WithTypes(a value of it)", ErrInvalid, typ)
	case kind == reflect.Pointer:
		prefix = "*"
	case kind == reflect.Slice:
		prefix = "[]"
	case kind == reflect.Array && typ.Size() <= maxArrayBytes:
		prefix = "[" + strconv.Itoa(typ.Len()) + "]"
	case kind == reflect.Map:
		key, err := t.name(typ.Key())
		if err != nil {
			return "", err
		}
		prefix = "map[" + key + "]"
	default:
		return "", fmt.Errorf("%w: a value of type %v cannot be kept; give it a named type of exported fields, or keep what it is made of", ErrInvalid, typ)
	}
	elem, err := t.name(typ.Elem())
	return prefix + elem, err
}

// parse is the reverse of name; nil if the type is not known here.
func (t types) parse(name string) reflect.Type {
	if typ, ok := t.byName[name]; ok {
		return typ
	}
	if elem, ok := strings.CutPrefix(name, "*"); ok {
		if typ := t.parse(elem); typ != nil {
			return reflect.PointerTo(typ)
		}
		return nil
	}
	head, elemName, ok := cutBrackets(name)
	if !ok {
		return nil
	}
	elem := t.parse(elemName)
	key, isMap := strings.CutPrefix(head, "map[")
	switch {
	case elem == nil:
		return nil
	case head == "[":
		return reflect.SliceOf(elem)
	case isMap:
		if typ := t.parse(key); typ != nil && typ.Comparable() {
			return reflect.MapOf(typ, elem)
		}
		return nil
	}
	n, err := strconv.Atoi(strings.TrimPrefix(head, "["))
	if err != nil || n < 0 || n > maxArrayBytes || uintptr(n)*max(elem.Size(), 1) > maxArrayBytes {
		return nil
	}
	return reflect.ArrayOf(n, elem)
}

// cutBrackets cuts "map[K]V" into "map[K" and "V", "[3]V" into "[3" and "V".
func cutBrackets(name string) (head, elem string, ok bool) {
	if !strings.HasPrefix(name, "[") && !strings.HasPrefix(name, "map[") {
		return "", "", false
	}
	depth := 0
	for i := range len(name) {
		switch name[i] {
		case '[':
			depth++
		case ']':
			if depth--; depth == 0 {
				return name[:i], name[i+1:], true
			}
		}
	}
	return "", "", false
}
