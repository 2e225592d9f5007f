//go:build e2e

// Copyright (C) the ngx_wsgi authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"html"
	"io"
	"math/rand/v2"
	"mime/multipart"
	"net/http"
	"net/http/cookiejar"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// demo is demo/run.sh at work, and a person with a browser.
type demo struct {
	t      *testing.T
	cmd    *exec.Cmd
	exited chan struct{}
	out    string // file with what the terminal shows
	addr   string
	dir    string // where it runs, as the terminal says
	front  int    // the masters
	wsgi   int
	client *http.Client
}

// startDemo runs the script as the leader of a process group, as a shell does
// with what it starts, and waits for the line that says how it is stopped.
func startDemo(t *testing.T) *demo {
	t.Helper()
	if os.Getenv("NWSGI_VENV") == "" {
		t.Fatal("NWSGI_VENV is not set: source build/env.sh")
	}
	d := &demo{
		t:      t,
		exited: make(chan struct{}),
		out:    filepath.Join(t.TempDir(), "terminal"),
		addr:   the.freeAddr(t),
	}
	d.client = newClient()
	d.client.CheckRedirect = nil
	d.client.Jar, _ = cookiejar.New(nil)

	d.cmd = demoCommand(d.addr)
	out, err := os.Create(d.out)
	require.NoError(t, err)
	defer func() { _ = out.Close() }()
	d.cmd.Stdout, d.cmd.Stderr = out, out
	require.NoError(t, d.cmd.Start())
	t.Cleanup(d.finish)
	go func() {
		_ = d.cmd.Wait()
		close(d.exited)
	}()

	d.wait("the demo", func() bool { return strings.Contains(d.terminal(), "Ctrl-C stops both") })
	d.front = d.number(`front +pid (\d+)`)
	d.wsgi = d.number(`wsgi +pid (\d+)`)
	d.dir = d.told(`Logs, in (\S+)/logs`)
	return d
}

func demoCommand(addr string) *exec.Cmd {
	cmd := exec.Command("../../demo/run.sh")
	cmd.Env = append(cleanEnv(), "DEMO_PORT="+strings.TrimPrefix(addr, "127.0.0.1:"))
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	return cmd
}

func (d *demo) terminal() string { return readFile(d.out) }

// told returns what the terminal shows where the pattern has its group.
func (d *demo) told(pattern string) string {
	d.t.Helper()
	found := regexp.MustCompile(pattern).FindStringSubmatch(d.terminal())
	require.NotNil(d.t, found, "the terminal does not tell %s", pattern)
	return found[1]
}

func (d *demo) number(pattern string) int {
	d.t.Helper()
	n, err := strconv.Atoi(d.told(pattern))
	require.NoError(d.t, err)
	return n
}

func (d *demo) wait(what string, done func() bool) {
	d.t.Helper()
	for end := time.Now().Add(3 * patience); time.Now().Before(end); {
		if done() {
			return
		}
		select {
		case <-d.exited:
			require.True(d.t, done(), "the demo ended while the test waited for "+what)
			return
		case <-time.After(10 * time.Millisecond):
		}
	}
	require.Fail(d.t, "waited too long for "+what)
}

// waitLog waits until the error log of the WSGI instance matches.
func (d *demo) waitLog(pattern string) {
	d.t.Helper()
	re := regexp.MustCompile(pattern)
	d.wait("the log line: "+pattern, func() bool {
		return re.MatchString(readFile(filepath.Join(d.dir, "logs", "wsgi.error.log")))
	})
}

func (d *demo) signalGroup(sig syscall.Signal) {
	_ = syscall.Kill(-d.cmd.Process.Pid, sig)
}

// finish ends what a failed test has left.
func (d *demo) finish() {
	select {
	case <-d.exited:
	default:
		d.signalGroup(syscall.SIGTERM)
		<-d.exited
	}
	if d.t.Failed() {
		d.t.Logf("terminal of the demo:\n%s", tail(d.terminal(), 64*1024))
	}
}

func (d *demo) get(target string, headers ...string) *answer {
	d.t.Helper()
	req, err := http.NewRequest("GET", "http://"+d.addr+target, nil)
	require.NoError(d.t, err)
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Set(name, value)
	}
	a, err := exchange(d.client, req)
	require.NoError(d.t, err)
	return a
}

func (d *demo) text(target string, headers ...string) string {
	d.t.Helper()
	a := d.get(target, headers...)
	require.Equal(d.t, 200, a.Status, "%s: %s", target, a.Body)
	return a.Body
}

// pin sends the form of the board as a browser does, redirect included.
func (d *demo) pin(token, author, text, name string, content []byte) (*answer, error) {
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	err := errors.Join(
		form.WriteField("csrfmiddlewaretoken", token),
		form.WriteField("author", author),
		form.WriteField("text", text),
	)
	if content != nil {
		part, partErr := form.CreateFormFile("file", name)
		err = errors.Join(err, partErr)
		_, _ = part.Write(content)
	}
	if err = errors.Join(err, form.Close()); err != nil {
		return nil, err
	}
	req, err := http.NewRequest("POST", "http://"+d.addr+"/", &body)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", form.FormDataContentType())
	req.Header.Set("Origin", "http://"+d.addr)
	return exchange(d.client, req)
}

var token = regexp.MustCompile(`name="csrfmiddlewaretoken" value="([^"]+)"`)

// token is what the form on the board carries against forged ones.
func (d *demo) token() string {
	d.t.Helper()
	found := token.FindStringSubmatch(d.text("/"))
	require.NotNil(d.t, found, "the form has no token")
	return found[1]
}

// TestDemo uses the demo as a person would, and stops it as a person would.
func TestDemo(t *testing.T) {
	d := startDemo(t)

	for _, step := range []struct {
		name string
		run  func(*demo)
	}{
		{"pages", (*demo).checkPages},
		{"environ", (*demo).checkEnviron},
		{"note and file", (*demo).checkNote},
		{"forged form", (*demo).checkForged},
		{"many at once", (*demo).checkMany},
		{"stream", (*demo).checkStream},
		{"errors", (*demo).checkErrors},
		{"port taken", (*demo).checkPortTaken},
		{"reload", (*demo).checkReload},
	} {
		if !t.Run(step.name, func(t *testing.T) {
			defer func(outer *testing.T) { d.t = outer }(d.t)
			d.t = t
			step.run(d)
		}) {
			return
		}
	}
	d.checkStop()
}

func (d *demo) checkPages() {
	assert.Contains(d.t, d.text("/"), "Nothing here yet")
	assert.Contains(d.t, d.text("/stream/"), "curl -N http://"+d.addr+"/stream/events")
	assert.Contains(d.t, d.text("/errors/"), "When things go wrong")
	assert.Equal(d.t, 404, d.get("/nowhere/").Status)

	for _, found := range regexp.MustCompile(`"(/static/[^"]+)"`).
		FindAllStringSubmatch(d.text("/stream/"), -1) {
		a := d.get(found[1])
		assert.Equal(d.t, 200, a.Status, found[1])
		assert.NotEmpty(d.t, a.Header.Get("ETag"), "%s is not from a file", found[1])
	}
	assert.Contains(d.t, d.get("/static/board.css").Header.Get("Content-Type"), "text/css")
	assert.NotContains(d.t, readFile(filepath.Join(d.dir, "logs", "wsgi.access.log")), "/static/")
}

// checkEnviron: the application sees the browser and not the front, and what a
// browser says of itself does not get past the front.
func (d *demo) checkEnviron() {
	page := d.text("/environ/", "X-Forwarded-For: 203.0.113.7", "X-Forwarded-Proto: https")
	rows := map[string]string{}
	for _, row := range regexp.MustCompile(`<tr><th>([^<]+)</th><td>[^<]*</td><td><code>([^<]*)`).
		FindAllStringSubmatch(page, -1) {
		rows[row[1]] = html.UnescapeString(row[2])
	}
	assert.Equal(d.t, "127.0.0.1", rows["REMOTE_ADDR"])
	assert.Equal(d.t, d.addr, rows["HTTP_HOST"])
	assert.Equal(d.t, "http", rows["wsgi.url_scheme"])
	assert.Equal(d.t, "/environ/", rows["PATH_INFO"])
	assert.Equal(d.t, "True", rows["wsgi.multiprocess"])
	assert.Contains(d.t, rows["SERVER_SOFTWARE"], "nginx")
}

// checkNote: form, session, database, message, upload and download.
func (d *demo) checkNote() {
	content := make([]byte, 5<<20+123) // more than any buffer on its way
	_, _ = rand.NewChaCha8([32]byte{1}).Read(content)

	a, err := d.pin(d.token(), "Ada <3", "Grüße & <b>love</b>", "holiday photo.bin", content)
	require.NoError(d.t, err)
	require.Equal(d.t, 200, a.Status, a.Body)
	assert.Contains(d.t, a.Body, "Your note is on the board, Ada &lt;3.")
	assert.Contains(d.t, a.Body, "Grüße &amp; &lt;b&gt;love&lt;/b&gt;")

	again := d.text("/")
	assert.NotContains(d.t, again, "Your note is on the board", "the message is shown once")
	assert.Contains(d.t, again, `value="Ada &lt;3"`, "the session keeps the name")

	link := regexp.MustCompile(`<a href="(/files/\d+/)">holiday_photo.bin</a>`).FindStringSubmatch(again)
	require.NotNil(d.t, link, again)
	file := d.get(link[1])
	assert.Equal(d.t, 200, file.Status)
	assert.Equal(d.t, strconv.Itoa(len(content)), file.Header.Get("Content-Length"))
	assert.Contains(d.t, file.Header.Get("Content-Disposition"), `attachment; filename="holiday_photo.bin"`)
	assert.True(d.t, file.Body == string(content), "the file has changed on its way")

	assert.Empty(d.t, regularFiles(filepath.Join(d.dir, "tmp")))
	assert.Empty(d.t, regularFiles(filepath.Join(d.dir, "data", "tmp")))
}

func (d *demo) checkForged() {
	a, err := d.pin("forged", "Mallory", "Nothing to see", "", nil)
	require.NoError(d.t, err)
	assert.Equal(d.t, 403, a.Status)

	a, err = d.pin(d.token(), "", "Who am I?", "", nil)
	require.NoError(d.t, err)
	assert.Equal(d.t, 400, a.Status)
	assert.Contains(d.t, a.Body, "This field is required")
}

// checkMany: all workers and threads write to the one database.
func (d *demo) checkMany() {
	const notes = 24
	token := d.token()
	done := make(chan error, notes)
	for i := range notes {
		go func() {
			a, err := d.pin(token, "Crowd", fmt.Sprintf("note number %d.", i), "", nil)
			if err == nil && a.Status != 200 {
				err = errors.New(a.Body)
			}
			done <- err
		}()
	}
	for range notes {
		require.NoError(d.t, <-done)
	}
	page := d.text("/")
	for i := range notes {
		assert.Contains(d.t, page, fmt.Sprintf("note number %d.", i))
	}
}

// checkStream leaves after the second chunk.  That there was a second one, and
// that the generator learns of it, shows that the chunks come as they are made.
func (d *demo) checkStream() {
	resp, err := d.client.Get("http://" + d.addr + "/stream/events")
	require.NoError(d.t, err)
	assert.Contains(d.t, resp.Header.Get("Content-Type"), "text/event-stream")

	var chunks []string
	lines := bufio.NewScanner(resp.Body)
	for len(chunks) < 2 && lines.Scan() {
		if lines.Text() != "" {
			chunks = append(chunks, lines.Text())
		}
	}
	_ = resp.Body.Close()
	require.Len(d.t, chunks, 2)
	assert.Contains(d.t, chunks[0], "data: 1 of 12")
	assert.Contains(d.t, chunks[1], "data: 2 of 12")
	assert.Contains(d.t, chunks[1], "thread stream", "the pool's name")
	d.waitLog(`the listener left after chunk \d of 12`)
}

func (d *demo) checkErrors() {
	a := d.get("/errors/raise")
	assert.Equal(d.t, 500, a.Status)
	assert.Contains(d.t, a.Body, "Something broke")
	d.waitLog(`Traceback \(most recent call last\)`)
	d.waitLog(`KeyError: 'thumbtacks'`)

	resp, err := d.client.Get("http://" + d.addr + "/errors/halfway")
	require.NoError(d.t, err)
	body, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	assert.Equal(d.t, 200, resp.StatusCode)
	assert.Contains(d.t, string(body), "promises more")
	assert.ErrorIs(d.t, err, io.ErrUnexpectedEOF)
	d.waitLog(`RuntimeError: the application failed halfway`)

	assert.Equal(d.t, 504, d.get("/errors/stuck").Status)
	d.waitLog(`in error_stuck`)

	for _, line := range []string{"KeyError: 'thumbtacks'", "in error_stuck"} {
		d.wait("the terminal to show errors, too: "+line, func() bool {
			return strings.Contains(d.terminal(), line)
		})
	}
}

func (d *demo) checkPortTaken() {
	out, err := demoCommand(d.addr).CombinedOutput()
	var exit *exec.ExitError
	require.ErrorAs(d.t, err, &exit)
	assert.Equal(d.t, 1, exit.ExitCode())
	assert.Contains(d.t, string(out), "cannot listen on "+d.addr+": Address already in use")
	assert.Contains(d.t, d.text("/"), "note number 1.", "the first one is untouched")
}

// checkReload: new workers take over, the session and the notes stay.
func (d *demo) checkReload() {
	old := children(d.wsgi)
	require.NoError(d.t, syscall.Kill(d.wsgi, syscall.SIGHUP))
	d.wait("the new workers", func() bool {
		assert.Contains(d.t, d.text("/"), "note number 1.")
		return !slices.ContainsFunc(children(d.wsgi),
			func(pid int) bool { return slices.Contains(old, pid) })
	})
	assert.Contains(d.t, d.text("/"), `value="Crowd"`)
}

// checkStop presses Ctrl-C, which the whole process group gets.
func (d *demo) checkStop() {
	pids := d.processes()
	require.GreaterOrEqual(d.t, len(pids), 5, "two masters, three workers")

	d.signalGroup(syscall.SIGINT)
	select {
	case <-d.exited:
	case <-time.After(patience):
		require.Fail(d.t, "the demo does not stop")
	}
	assert.Equal(d.t, 0, d.cmd.ProcessState.ExitCode())

	assert.Empty(d.t, living(append(pids, d.processes()...)), "processes are left")
	assert.NoDirExists(d.t, d.dir)
	assert.Empty(d.t, suspicious(d.terminal(), nil), "the terminal shows")
	_, err := d.client.Get("http://" + d.addr)
	assert.ErrorIs(d.t, err, syscall.ECONNREFUSED)
}

// processes returns the members of both nginx's sessions.
func (d *demo) processes() []int {
	return append(sessionPIDs(d.front), sessionPIDs(d.wsgi)...)
}

// living leaves out what has ended, whether or not somebody has waited for it.
func living(pids []int) []string {
	var found []string
	for _, pid := range pids {
		if line := commandLine(pid); line != "" {
			found = append(found, fmt.Sprintf("%d %s", pid, line))
		}
	}
	return found
}

// TestDemoKilled: even then no nginx stays behind.
func TestDemoKilled(t *testing.T) {
	d := startDemo(t)
	t.Cleanup(func() { _ = os.RemoveAll(d.dir) })

	d.signalGroup(syscall.SIGKILL)
	<-d.exited
	require.Eventually(t, func() bool { return len(living(d.processes())) == 0 },
		patience, 10*time.Millisecond, "an nginx stays")
}
