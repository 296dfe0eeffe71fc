package templates

import (
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"reflect"
	"strconv"
	"text/template/parse"
)

// caster makes one mold of a template: it walks the parsed template, and appends its text and what it says about data.
// It knows as much of the language as the pages use, and refuses the rest.
//
// html/template would do the same and more, but it calls methods by their names, so that the linker has to keep every
// method of every type: all the commands of go-redis among them, 12 MB of the binary. What it also does is to escape for
// the place where a value stands. Here that is always text or a quoted attribute that is no URL, style or script, where
// one escaping is right for all; the tests hold both of that against html/template.
type caster struct {
	trees  map[string]*parse.Tree
	slots  reflect.Type // the V of the mold
	text   []byte       // since the last slot
	pieces []string
	fields []int
}

// parseFiles returns the templates that the HTML files define.
func parseFiles(files fs.FS) (map[string]*parse.Tree, error) {
	names, err := fs.Glob(files, "*.html")
	if err != nil {
		return nil, err
	}
	trees := make(map[string]*parse.Tree)
	for _, name := range names {
		text, err := fs.ReadFile(files, name)
		if err != nil {
			return nil, err
		}
		t := parse.New(name)
		t.Mode = parse.SkipFuncCheck
		if _, err := t.Parse(string(text), "", "", trees); err != nil {
			return nil, err
		}
	}
	return trees, nil
}

// cast makes a mold of the named template.
func cast[V any](trees map[string]*parse.Tree, name string, data any) (*mold[V], error) {
	c := &caster{trees: trees, slots: reflect.TypeFor[V]()}
	if err := c.call(name, reflect.ValueOf(data)); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	c.cut()
	m := &mold[V]{pieces: c.pieces, fields: c.fields}
	for _, piece := range m.pieces {
		m.size += len(piece)
	}
	return m, nil
}

// castAll makes a mold of each of the named templates.
func castAll[V any](trees map[string]*parse.Tree, data any, names ...string) (map[string]*mold[V], error) {
	molds := make(map[string]*mold[V], len(names))
	for _, name := range names {
		m, err := cast[V](trees, name, data)
		if err != nil {
			return nil, err
		}
		molds[name] = m
	}
	return molds, nil
}

// call walks the named template, in which {{.}} is dot.
func (c *caster) call(name string, dot reflect.Value) error {
	tree, ok := c.trees[name]
	if !ok {
		return fmt.Errorf("there is no template %q", name)
	}
	return c.walk(tree.Root, dot)
}

// walk appends what a part of a template says. There is none where an {{if}} has no {{else}}.
func (c *caster) walk(part *parse.ListNode, dot reflect.Value) error {
	if part == nil {
		return nil
	}
	for _, node := range part.Nodes {
		if err := c.node(node, dot); err != nil {
			return err
		}
	}
	return nil
}

func (c *caster) node(node parse.Node, dot reflect.Value) error {
	switch n := node.(type) {
	case *parse.TextNode:
		c.text = append(c.text, n.Text...)
		return nil
	case *parse.ActionNode:
		return c.action(n, dot)
	case *parse.TemplateNode:
		return c.with(n.Pipe, dot, func(data reflect.Value) error { return c.call(n.Name, data) })
	case *parse.IfNode:
		return c.with(n.Pipe, dot, func(condition reflect.Value) error {
			if isTrue(condition) {
				return c.walk(n.List, dot)
			}
			return c.walk(n.ElseList, dot)
		})
	case *parse.RangeNode:
		return c.with(n.Pipe, dot, func(list reflect.Value) error { return c.each(n, list) })
	}
	return fmt.Errorf("%s is not understood here", node)
}

// each walks a loop's part once for each of a list.
func (c *caster) each(n *parse.RangeNode, list reflect.Value) error {
	if list.Kind() != reflect.Slice || n.ElseList != nil {
		return fmt.Errorf("%s is more than a walk through a list", n)
	}
	for i := range list.Len() {
		if err := c.walk(n.List, list.Index(i)); err != nil {
			return err
		}
	}
	return nil
}

// with hands on the value of a pipeline, if it has one.
func (c *caster) with(pipe *parse.PipeNode, dot reflect.Value, f func(reflect.Value) error) error {
	v, err := c.value(pipe, dot)
	if err != nil {
		return err
	}
	return f(v)
}

// action appends a value, or leaves a slot for it.
func (c *caster) action(n *parse.ActionNode, dot reflect.Value) error {
	if slot, ok := slotOf(n.Pipe); ok {
		field, ok := c.slots.FieldByName(slot)
		if !ok {
			return fmt.Errorf("%s has no slot %s", c.slots, slot)
		}
		c.cut()
		c.fields = append(c.fields, field.Index[0])
		return nil
	}
	v, err := c.value(n.Pipe, dot)
	if err != nil {
		return err
	}
	switch v := v.Interface().(type) {
	case template.HTML:
		c.text = append(c.text, v...)
	case string:
		c.text = append(c.text, text(v)...)
	case int:
		c.text = strconv.AppendInt(c.text, int64(v), 10)
	default:
		return fmt.Errorf("%s is a %T, which has no text", n, v)
	}
	return nil
}

// cut ends the piece before a slot.
func (c *caster) cut() {
	c.pieces = append(c.pieces, string(c.text))
	c.text = nil
}

// slotOf is the name of the slot that a pipeline stands for.
func slotOf(pipe *parse.PipeNode) (string, bool) {
	field, ok := pipe.Cmds[0].Args[0].(*parse.FieldNode)
	if !ok || len(field.Ident) != 2 || field.Ident[0] != "Slot" {
		return "", false
	}
	return field.Ident[1], true
}

// value is what a pipeline stands for: {{.}}, {{.Field}}, or a function of one of them.
func (c *caster) value(pipe *parse.PipeNode, dot reflect.Value) (reflect.Value, error) {
	if pipe == nil {
		return reflect.Value{}, errors.New("a template is called without data")
	}
	args := pipe.Cmds[0].Args
	if len(pipe.Decl) > 0 || len(pipe.Cmds) > 1 || len(args) > 2 {
		return reflect.Value{}, fmt.Errorf("%s is more than one value or one call", pipe)
	}
	v, err := operand(args[len(args)-1], dot)
	if err != nil || len(args) == 1 {
		return v, err
	}
	switch name := args[0].String(); {
	case name == "not":
		return reflect.ValueOf(!isTrue(v)), nil
	case name == "command" && v.Kind() == reflect.String:
		return reflect.ValueOf(command(v.String())), nil
	}
	return reflect.Value{}, fmt.Errorf("%s calls nothing that is known here", pipe)
}

// isTrue is the truth of a condition: false, 0, "" and an empty list are not.
func isTrue(v reflect.Value) bool {
	truth, _ := template.IsTrue(v.Interface())
	return truth
}

func operand(node parse.Node, dot reflect.Value) (reflect.Value, error) {
	switch n := node.(type) {
	case *parse.DotNode:
		return dot, nil
	case *parse.FieldNode:
		if len(n.Ident) == 1 && dot.Kind() == reflect.Struct {
			if v := dot.FieldByName(n.Ident[0]); v.IsValid() {
				return v, nil
			}
		}
	}
	return reflect.Value{}, fmt.Errorf("%s is not known here", node)
}
