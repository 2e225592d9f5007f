// Copyright (C) the ngx_wsgi authors
// SPDX-License-Identifier: Apache-2.0

package adapter

import (
	"errors"
	"fmt"

	"github.com/go-python/cpy3"
)

// What follows is called with the GIL held.

// do calls a function of the module ngx_wsgi_boot for what it does.
func (p *Python) do(function string, args ...any) error {
	value, err := p.call(p.boot, function, args...)
	if err == nil {
		value.DecRef()
	}
	return err
}

// call calls a function of a module.  The value is a new reference; the error
// is the exception in words, see failure.
func (p *Python) call(module *python3.PyObject, function string,
	args ...any) (*python3.PyObject, error) {

	callable := module.GetAttrString(function)
	if callable == nil {
		return nil, p.failure(-1, "start")
	}
	defer callable.DecRef()
	objects := make([]*python3.PyObject, 0, len(args))
	defer func() {
		for _, object := range objects {
			object.DecRef()
		}
	}()
	for _, arg := range args {
		object := newObject(arg)
		if object == nil {
			return nil, p.failure(-1, "start")
		}
		objects = append(objects, object)
	}
	value := callable.CallFunctionObjArgs(objects...)
	if value == nil && function == "load" {
		return nil, p.failure(args[0].(int), "import")
	}
	if value == nil {
		return nil, p.failure(-1, function)
	}
	return value, nil
}

// newObject returns a new reference, or nil and an exception is set.  "" is
// what was not set, None.
func newObject(value any) *python3.PyObject {
	switch v := value.(type) {
	case int:
		return python3.PyLong_FromGoInt(v)
	case uint64:
		return python3.PyLong_FromGoUint64(v)
	case string:
		if v != "" {
			return python3.PyUnicode_FromString(v)
		}
	default:
		panic(fmt.Sprintf("a %T cannot be passed to Python", value))
	}
	python3.Py_None.IncRef()
	return python3.Py_None
}

// failure takes the exception that is set and puts it into words, by the
// function of ngx_wsgi_boot with that name, if the module is there.  "app" is
// an index, or -1.
func (p *Python) failure(app int, phase string) error {
	kind, value, traceback := python3.PyErr_NormalizeException(python3.PyErr_Fetch())
	defer release(kind, value, traceback)
	if value == nil {
		return errors.New("Python failed and did not say why")
	}
	if traceback != nil {
		python3.PyException_SetTraceback(value, traceback)
	}
	if words := p.words(app, phase, value); words != "" {
		return errors.New(words)
	}
	repr := value.Repr()
	defer release(repr)
	return errors.New(text(repr))
}

func (p *Python) words(app int, phase string, exception *python3.PyObject) string {
	if p.boot == nil || !p.boot.HasAttrString("failure") {
		return ""
	}
	index, name := newObject(app), newObject(phase)
	defer release(index, name)
	words := p.boot.CallMethodArgs("failure", index, name, exception)
	defer release(words)
	return text(words)
}

// text is a str as Go's, whatever characters it has; "" if there is none.
func text(str *python3.PyObject) string {
	defer python3.PyErr_Clear()
	if str == nil {
		return ""
	}
	encoding, errors := newObject("utf-8"), newObject("backslashreplace")
	defer release(encoding, errors)
	bytes := str.CallMethodArgs("encode", encoding, errors)
	defer release(bytes)
	if bytes == nil {
		return ""
	}
	return python3.PyBytes_AsString(bytes)
}

func sysAttribute(name string) string {
	sys := python3.PyImport_ImportModule("sys")
	defer release(sys)
	if sys == nil {
		return text(nil)
	}
	value := sys.GetAttrString(name)
	defer release(value)
	return text(value)
}

func release(objects ...*python3.PyObject) {
	for _, object := range objects {
		if object != nil {
			object.DecRef()
		}
	}
}
