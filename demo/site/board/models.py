# Copyright (C) the ngx_wsgi authors
# SPDX-License-Identifier: Apache-2.0

import os
from uuid import uuid4

from django.db import models


def place(note, name):
    """A directory for each file, so that it keeps its name."""
    return f"{uuid4().hex}/{name}"


class Note(models.Model):
    author = models.CharField("your name", max_length=40)
    text = models.TextField("note", max_length=2000)
    file = models.FileField(upload_to=place, max_length=255, blank=True)
    created = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-id"]

    @property
    def filename(self):
        return os.path.basename(self.file.name)
