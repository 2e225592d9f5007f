// Copyright (C) the ngx_wsgi authors
// SPDX-License-Identifier: Apache-2.0

package adapter_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/ngx-wsgi/ngx_wsgi/python_adapter/internal/hosttest"
)

// look shows what an expression over environ is.
func look(t *testing.T, expression string, req hosttest.Request) string {
	t.Helper()
	req.App = function("start_response('200 OK', [])\nreturn [repr((" + expression + ")).encode()]")
	r := hosttest.Run(t, req)
	assert.Empty(t, r.LogText())
	return r.Body()
}

func TestEnviron(t *testing.T) {
	cases := []struct{ expression, want string }{
		{"type(environ)", "<class 'dict'>"},
		{"environ['REQUEST_METHOD']", "'POST'"},
		{"environ['SCRIPT_NAME']", "''"},
		{"environ['PATH_INFO']", "'/a b'"},
		{"environ['QUERY_STRING']", "'x=%20'"},
		{"environ['SERVER_PROTOCOL']", "'HTTP/1.1'"},
		{"environ['SERVER_NAME'], environ['SERVER_PORT']", "('localhost', '80')"},
		{"environ['SERVER_SOFTWARE']", "'nginx/1.2.3'"},
		{"environ['CONTENT_TYPE'], environ['CONTENT_LENGTH']", "('text/plain', '4')"},
		{"environ['HTTP_X_NAME']", "'v'"},
		{"environ['wsgi.version']", "(1, 0)"},
		{"environ['wsgi.url_scheme']", "'http'"},
		{"environ['wsgi.multithread'], environ['wsgi.multiprocess']", "(True, False)"},
		{"environ['wsgi.run_once'], environ['wsgi.input_terminated']", "(False, True)"},
		{"environ['nginx.disconnected']()", "False"},
		{"abs(time.time() - environ['nginx.queue_start']) < 60", "True"},
		{"sorted(n for n, v in environ.items() if n.isupper() and type(v) is not str)", "[]"},
	}
	for _, c := range cases {
		t.Run(c.expression, func(t *testing.T) {
			assert.Equal(t, c.want, look(t, c.expression, hosttest.Request{
				Method: "POST", Path: "/a b", Query: "x=%20", Body: "body",
				Header: []hosttest.Field{{Name: "Content-Type", Value: "text/plain"}, {Name: "X-Name", Value: "v"}},
			}))
		})
	}
}

func TestPoolOfOneThreadIsNotMultithreaded(t *testing.T) {
	assert.Equal(t, "False", look(t, "environ['wsgi.multithread']",
		hosttest.Request{Pool: hosttest.One}))
}

func TestEnvironIsLatin1(t *testing.T) {
	for name, value := range map[string]string{
		"UTF-8": "gr\u00f6\u00dfe \u20ac", "any bytes": "\xff\x00\x80", "none": "",
	} {
		t.Run(name, func(t *testing.T) {
			got := look(t, "environ['PATH_INFO'].encode('latin-1').hex()",
				hosttest.Request{Vars: []hosttest.Field{{Name: "PATH_INFO", Value: value}}})
			assert.Equal(t, fmt.Sprintf("'%x'", value), got)
		})
	}
}

func TestLaterVariableReplacesAnEarlierOne(t *testing.T) {
	assert.Equal(t, "'/second'", look(t, "environ['PATH_INFO']", hosttest.Request{
		Path: "/first", Vars: []hosttest.Field{{Name: "PATH_INFO", Value: "/second"}},
	}))
}

func TestVariablesCannotStandInForObjects(t *testing.T) {
	assert.Equal(t, "b''", look(t, "environ['wsgi.input'].read()", hosttest.Request{
		Vars: []hosttest.Field{{Name: "wsgi.input", Value: "x"}},
	}))
}

// More names and values than the cache holds.
func TestManyVariables(t *testing.T) {
	var vars []hosttest.Field
	for i := range 3000 {
		vars = append(vars, hosttest.Field{
			Name: fmt.Sprintf("HTTP_X_%d", i), Value: strings.Repeat(fmt.Sprint(i), i%200),
		})
	}
	for range 2 {
		got := look(t, "all(environ[f'HTTP_X_{i}'] == str(i) * (i % 200) for i in range(3000))",
			hosttest.Request{Vars: vars})
		assert.Equal(t, "True", got)
	}
}

// sames says how many of these names are, in environ, the objects that they
// were in the request before, and how many are interned.
func sames(t *testing.T, names []string) (same, interned int) {
	t.Helper()
	vars := make([]hosttest.Field, len(names))
	for i, name := range names {
		vars[i] = hosttest.Field{Name: name}
	}
	r := hosttest.Run(t, hosttest.Request{Vars: vars, App: function(`
import sys
kept = sys.__dict__.setdefault("kept_names", {})
names = [name for name in environ if name.startswith("HTTP_X_")]
same = sum(kept.get(name) is name for name in names)
kept.clear()
kept.update((name, name) for name in names)
interned = sum(sys.intern(name[:9] + name[9:]) is name for name in names)
start_response("200 OK", [])
return [f"{same} {interned}".encode()]`)})
	_, err := fmt.Sscan(r.Body(), &same, &interned)
	assert.NoError(t, err)
	return same, interned
}

func manyNames(prefix string, from, count int) []string {
	names := make([]string, count)
	for i := range names {
		names[i] = fmt.Sprintf("HTTP_X_%s_%d", prefix, from+i)
	}
	return names
}

// Whatever names have come before, those that come now are kept.
func TestNamesAge(t *testing.T) {
	ordinary := manyNames("ORDINARY", 0, 30)
	for round := range 3 {
		for i := range 10 {
			sames(t, manyNames("HOSTILE", round*10000+i*1000, 1000))
		}
		sames(t, ordinary)
		sames(t, ordinary) // an equal one may be interned already
		same, _ := sames(t, ordinary)
		assert.Equal(t, 30, same)
	}
}

// Names that no ordinary request has are not kept.
func TestLongNamesAreNotKept(t *testing.T) {
	for length, want := range map[int]int{128: 1, 129: 0, 8000: 0} {
		name := "HTTP_X_" + strings.Repeat("L", length-7)
		for range 3 {
			sames(t, []string{name})
		}
		same, _ := sames(t, []string{name})
		assert.Equal(t, want, same, length)
	}
}

// What is interned may stay for ever, so there is an end to it.
func TestFewNamesAreInterned(t *testing.T) {
	total := 0
	for i := range 20 {
		names := manyNames("AGAIN", i*200, 200)
		sames(t, names)
		_, interned := sames(t, names)
		total += interned
	}
	assert.LessOrEqual(t, total, 512)
}

func TestEachRequestHasItsOwnEnviron(t *testing.T) {
	app := function(`
start_response("200 OK", [])
before = "mine" in environ
environ.clear()
environ["mine"] = environ["wsgi.version"] = 1
return [str(before).encode()]`)
	for range 3 {
		assert.Equal(t, "False", hosttest.Run(t, hosttest.Request{App: app}).Body())
	}
	assert.Equal(t, "(1, 0)", look(t, "environ['wsgi.version']", hosttest.Request{}))
}

func TestAccess(t *testing.T) {
	for body, want := range map[string]string{
		`environ["REMOTE_USER"] = "max"`: "max", `pass`: "",
	} {
		r := hosttest.Run(t, hosttest.Request{
			Access: true,
			App:    function(body + "\nstart_response('204 Yes', [])\nreturn []"),
		})
		assert.Equal(t, want, r.User)
		assert.Equal(t, want != "", r.HasUser)
		assert.Equal(t, uint32(204), r.Status)
	}
}

// A name that nginx cannot have is a failure, and lets nobody in.
func TestAccessBadUser(t *testing.T) {
	for value, reason := range map[string]string{
		"7":                       "REMOTE_USER must be str, not int",
		"None":                    "REMOTE_USER must be str, not NoneType",
		"'\\u017d'":               "REMOTE_USER contains a character above",
		"'max\\r\\nX-Admin: yes'": "'REMOTE_USER' contains the control character 0x0d",
	} {
		for _, result := range []string{"[]", "[b'yes']", "iter([b'yes'])"} {
			r := hosttest.Run(t, hosttest.Request{
				Access: true,
				App: function("environ['REMOTE_USER'] = " + value +
					"\nstart_response('200 Yes', [])\nreturn " + result),
			})
			assert.Zero(t, r.Status, value)
			assert.Contains(t, r.LogText(), reason, value)
		}
	}
}

// So is one that cannot be looked for.
func TestAccessUserCannotBeHad(t *testing.T) {
	r := hosttest.Run(t, hosttest.Request{Access: true, App: function(`
class Key(str):
    __hash__ = str.__hash__
    def __eq__(self, other): raise MemoryError("none left")
environ[Key("REMOTE_USER")] = "max"
start_response('204 Yes', [])
return []`)})
	refused(t, r, "MemoryError: none left in iteration")
}
