package config

// Explaining what is wrong with a file that a person may have edited. The
// checks are stricter than encoding/json by itself: unknown members, members
// that occur twice and broken UTF-8 would all be lost when the file is written
// the next time, so they are errors now.

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"unicode/utf8"
)

// Decode reads a State from JSON text. Errors begin with line:column where
// there is a place to point at.
func Decode(data []byte) (*State, error) {
	if at := invalidUTF8(data); at >= 0 {
		return nil, errorAt(data, int64(at), "this is not UTF-8")
	}
	var raw json.RawMessage
	if err := json.Unmarshal(data, &raw); err != nil {
		return nil, explain(data, err)
	}
	if err := walk(data); err != nil {
		return nil, err
	}
	// The version first: a file of a later version may well have members
	// that are unknown here, but they are not what is wrong with it.
	var v struct {
		Version *int `json:"version"`
	}
	if err := json.Unmarshal(data, &v); err != nil {
		return nil, explain(data, err)
	}
	if v.Version == nil {
		return nil, errors.New(`member "version" is missing`)
	}
	if *v.Version != Version {
		return nil, (&State{Version: *v.Version}).Check()
	}
	s := new(State)
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(s); err != nil {
		return nil, explain(data, err)
	}
	if err := s.Check(); err != nil {
		return nil, err
	}
	return s, nil
}

// Encode is the text of s as a file holds it: indented, one member a line, the
// same bytes for the same state.
func Encode(s *State) ([]byte, error) {
	if err := s.Check(); err != nil {
		return nil, err
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false) // a URL is easier to read with & than with \u0026
	e.SetIndent("", "  ")
	if err := e.Encode(s); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// walk reads data, which is valid JSON, token by token and refuses an object
// that has a member twice. Two spellings that encoding/json takes for the same
// member are the same here too.
func walk(data []byte) error {
	type level struct {
		object bool
		key    bool // the next string is the name of a member
		seen   map[string]bool
	}
	stack := []level{{}}
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	for {
		t, err := d.Token()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return explain(data, err)
		}
		switch top := &stack[len(stack)-1]; t {
		case json.Delim('{'):
			stack = append(stack, level{object: true, key: true, seen: map[string]bool{}})
			continue
		case json.Delim('['):
			stack = append(stack, level{})
			continue
		case json.Delim('}'), json.Delim(']'):
			stack = stack[:len(stack)-1]
		default:
			if !top.key {
				break
			}
			name := t.(string)
			fold := strings.ToLower(strings.ToUpper(name))
			if top.seen[fold] {
				return errorAt(data, d.InputOffset(), fmt.Sprintf("member %q is there twice", name))
			}
			top.seen[fold] = true
			top.key = false
			continue
		}
		// A value has ended; in an object a name follows.
		top := &stack[len(stack)-1]
		top.key = top.object
	}
}

func explain(data []byte, err error) error {
	var syntax *json.SyntaxError
	var typ *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		return errorAt(data, syntax.Offset, syntax.Error())
	case errors.As(err, &typ):
		where := "the configuration"
		if typ.Field != "" {
			where = "member " + typ.Field
		}
		return errorAt(data, typ.Offset, fmt.Sprintf("%s is a JSON %s, but must be %s", where, typ.Value, kind(typ.Type)))
	default:
		// Unknown members have no type and no offset, only these words.
		return errors.New(strings.TrimPrefix(err.Error(), "json: "))
	}
}

func kind(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Struct, reflect.Map:
		return "an object"
	case reflect.Slice:
		return "an array"
	case reflect.String:
		return "a string"
	case reflect.Bool:
		return "true or false"
	default:
		return "a whole number"
	}
}

// errorAt says where, for people: lines and columns from 1, columns in
// characters. offset counts the bytes up to and including the culprit.
func errorAt(data []byte, offset int64, text string) error {
	before := data[:min(max(offset-1, 0), int64(len(data)))]
	line := bytes.Count(before, []byte{'\n'}) + 1
	column := utf8.RuneCount(before[bytes.LastIndexByte(before, '\n')+1:]) + 1
	return fmt.Errorf("%d:%d: %s", line, column, text)
}

func invalidUTF8(data []byte) int {
	if utf8.Valid(data) {
		return -1
	}
	for i := 0; i < len(data); {
		r, n := utf8.DecodeRune(data[i:])
		if r == utf8.RuneError && n <= 1 {
			return i + 1
		}
		i += n
	}
	return -1
}
