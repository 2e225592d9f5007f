# Copyright (C) the ngx_wsgi authors
# SPDX-License-Identifier: Apache-2.0
"""Five routes in CherryPy."""

import hashlib

import cherrypy

cherrypy.config.update({"environment": "embedded"})


class Root:
    @cherrypy.expose
    def page(self, name):
        return f"hello {name}"

    @cherrypy.expose
    def form(self, text):
        return f"form {text}"

    @cherrypy.expose
    def cookie(self):
        seen = cherrypy.request.cookie.get("seen")
        cherrypy.response.cookie["seen"] = "cookie"
        raise cherrypy.HTTPRedirect(
            f"page?name={seen.value if seen else 'nothing'}", 302)

    @cherrypy.expose
    def upload(self, file):
        return f"{file.filename} {hashlib.sha256(file.file.read()).hexdigest()}"

    @cherrypy.expose
    @cherrypy.config(**{"response.stream": True})
    def stream(self):
        return (f"{i}," for i in range(5))


application = cherrypy.Application(Root(), script_name=None)
