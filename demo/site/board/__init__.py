# Copyright (C) the ngx_wsgi authors
# SPDX-License-Identifier: Apache-2.0
"""Corkboard: notes with files, and a few pages that show how it is served."""
