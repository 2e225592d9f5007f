//go:build e2e

// Copyright (C) the ngx_wsgi authors
// SPDX-License-Identifier: Apache-2.0

// Package e2e starts a real nginx with the module and looks at it from
// outside.  README.md says how it is run and which test proves what.
package e2e

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// suite is what all tests share: made once, read only afterwards.
type suite struct {
	base   string // directory that the workers' user can read
	nginx  string
	module string // the copy in base; the library is beside it
	lib    string
	python string
	user   string // argument of "user", empty when not started by root

	venvOnce sync.Once
	venv     string
	venvErr  error

	portLock sync.Mutex
	port     int
}

var the suite

// prepare reads the environment and copies both shared objects to where the
// workers' user may read them: the repository may be beneath a private path.
func (s *suite) prepare() error {
	s.nginx = os.Getenv("NWSGI_NGINX")
	module := os.Getenv("NWSGI_MODULE")
	s.python = os.Getenv("NWSGI_PYTHON")

	for name, value := range map[string]string{
		"NWSGI_NGINX": s.nginx, "NWSGI_MODULE": module, "NWSGI_PYTHON": s.python,
	} {
		if value == "" {
			return fmt.Errorf("%s is not set: source build/env.sh", name)
		}
		if _, err := os.Stat(value); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}

	base, err := os.MkdirTemp("", "nwsgi-e2e-")
	if err != nil {
		return err
	}
	s.base = base
	sanitize()
	s.user = workersUser()
	s.port = firstPort()
	s.module = filepath.Join(base, "lib", "ngx_http_wsgi_module.so")
	s.lib = filepath.Join(base, "lib", "libngx_wsgi.so")

	return errors.Join(
		os.Chmod(base, 0o755),
		copyFile(module, s.module),
		copyFile(filepath.Join(filepath.Dir(module), "libngx_wsgi.so"), s.lib),
	)
}

// finish removes what prepare made, unless somebody wants to look at it.
func (s *suite) finish() {
	if s.base != "" && os.Getenv("NWSGI_LEAVE") == "" {
		_ = os.RemoveAll(s.base)
	}
}

// workersUser returns "name group" for the "user" directive, so that dropping
// privileges is part of every test; only root can do that.
func workersUser() string {
	if os.Getuid() != 0 {
		return ""
	}
	if _, err := user.LookupGroup("nogroup"); err == nil {
		return "nobody nogroup"
	}
	return "nobody nobody"
}

// virtualenv returns a virtualenv with the frameworks that the workers' user
// can read: a new one, whose packages are links to those of NWSGI_VENV.
func (s *suite) virtualenv(t *testing.T) string {
	s.venvOnce.Do(func() {
		s.venv = filepath.Join(s.base, "venv")
		s.venvErr = s.cloneVenv(os.Getenv("NWSGI_VENV"), s.venv)
	})
	require.NoError(t, s.venvErr, "NWSGI_VENV")
	return s.venv
}

func (s *suite) cloneVenv(from, to string) error {
	if from == "" {
		return errors.New("is not set: source build/env.sh")
	}
	if err := s.newVenv(to); err != nil {
		return err
	}
	site, err := sitePackages(from)
	if err != nil {
		return err
	}
	dest, err := sitePackages(to)
	if err != nil {
		return err
	}
	return copyTree(site, dest, linkFile)
}

// newVenv makes an empty virtualenv of the chosen Python.
func (s *suite) newVenv(dir string) error {
	cmd := exec.Command(s.python, "-m", "venv", "--without-pip", dir)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", cmd, err, out)
	}
	return nil
}

func sitePackages(venv string) (string, error) {
	found, err := filepath.Glob(filepath.Join(venv, "lib", "python3.*", "site-packages"))
	if err == nil && len(found) != 1 {
		err = fmt.Errorf("%s has %d site-packages", venv, len(found))
	}
	if err != nil {
		return "", err
	}
	return found[0], nil
}

// copyTree copies a directory with "each", and skips what Python compiled.
func copyTree(from, to string, each func(from, to string) error) error {
	return filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		dest := filepath.Join(to, rel)
		switch {
		case d.IsDir() && d.Name() == "__pycache__" && !strings.Contains(path, "site-packages"):
			return fs.SkipDir
		case d.IsDir():
			return os.MkdirAll(dest, 0o755)
		case d.Type().IsRegular():
			return each(path, dest)
		}
		return nil
	})
}

func linkFile(from, to string) error {
	if os.Link(from, to) == nil {
		return nil
	}
	return copyFile(from, to)
}

func copyFile(from, to string) (err error) {
	if err = os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, in.Close()) }()

	out, err := os.OpenFile(to, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}
