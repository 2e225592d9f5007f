// Copyright (C) the ngx_wsgi authors
// SPDX-License-Identifier: Apache-2.0

package adapter_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	adapter "github.com/ngx-wsgi/ngx_wsgi/python_adapter"
	"github.com/ngx-wsgi/ngx_wsgi/python_adapter/internal/hosttest"
)

func TestDrain(t *testing.T) {
	adapter.Drain("it is tired", false)
	adapter.Drain("", true)
	adapter.Drain("it is stuck", true)
	assert.Equal(t, []hosttest.Drain{{Reason: "it is tired"}, {Reason: "it is stuck", Soon: true}},
		hosttest.Drains())
	assert.Empty(t, hosttest.Drains())
}
