#!/usr/bin/env python3
# Copyright (C) the ngx_wsgi authors
# SPDX-License-Identifier: Apache-2.0
"""Django's commands, as in any project: manage.py migrate, shell, ..."""

import os
import sys

from django.core.management import execute_from_command_line

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "board.settings")
    execute_from_command_line(sys.argv)
