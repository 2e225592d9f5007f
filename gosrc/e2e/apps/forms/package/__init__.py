# Copyright (C) the ngx_wsgi authors
# SPDX-License-Identifier: Apache-2.0
