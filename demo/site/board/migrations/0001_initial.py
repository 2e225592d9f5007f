# Copyright (C) the ngx_wsgi authors
# SPDX-License-Identifier: Apache-2.0

from django.db import migrations, models

import board.models


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="Note",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True,
                        primary_key=True,
                        serialize=False,
                        verbose_name="ID",
                    ),
                ),
                ("author", models.CharField(max_length=40, verbose_name="your name")),
                ("text", models.TextField(max_length=2000, verbose_name="note")),
                (
                    "file",
                    models.FileField(
                        blank=True, max_length=255, upload_to=board.models.place
                    ),
                ),
                ("created", models.DateTimeField(auto_now_add=True)),
            ],
            options={"ordering": ["-id"]},
        ),
    ]
