# Copyright (C) the ngx_wsgi authors
# SPDX-License-Identifier: Apache-2.0

from django import forms

from .models import Note


class NoteForm(forms.ModelForm):
    class Meta:
        model = Note
        fields = ["author", "text", "file"]
        widgets = {"text": forms.Textarea(attrs={"rows": 4})}
