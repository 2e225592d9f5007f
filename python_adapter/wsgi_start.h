/*
 * Copyright (C) the ngx_wsgi authors
 * SPDX-License-Identifier: Apache-2.0
 *
 * wsgi_start.h: what starting Python needs beside wsgi_adapter.h, for
 * wsgi_start.c, wsgi_home.c and the Go side.
 */

#ifndef WSGI_START_H
#define WSGI_START_H

#include <limits.h>

#include "wsgi_adapter.h"


/* Where Python is: what PyConfig is told. */
typedef struct {
    char         program[PATH_MAX];     /* program_name: getpath begins here */
    const char  *home;                  /* PYTHONHOME, or NULL: by program */
} wsgi_home_t;

/*
 * go.  Finds out what "conf" means by home and executable, and whether that
 * can work with the libpython in this process.  NWSGI_OK, or NWSGI_ERROR with
 * a sentence in "err".  "home" borrows from "conf".
 */
int32_t wsgi_home_find(wsgi_home_t *home, const nwsgi_config_t *conf,
    char *err, size_t len);

/*
 * loop, in start(): puts "conf->env" into the environment.  Not later and not
 * on another thread, because the loop reads the environment without a lock
 * (localtime() looks for TZ).  NWSGI_OK, or NWSGI_ERROR: no memory.
 */
int32_t wsgi_start_environment(const nwsgi_config_t *conf);

/*
 * GIL held, once: replaces the function "importing" of the module "boot"
 * (PyObject *, borrowed) by one that calls nwsgi_go_import().  0, or -1 with a
 * Python exception set.
 */
int wsgi_start_hook(void *boot);

/*
 * python, with the GIL: returns at once.  Application "app" is being imported
 * by the thread with Python's identifier "ident" from now on; "ident" is 0
 * when that has ended, well or not.  NWSGI_OK, or NWSGI_ERROR: Go has panicked,
 * and logged it.  Exported by gosrc; weak as the others.
 */
extern int32_t nwsgi_go_import(uint32_t app, uint64_t ident)
    __attribute__((weak));


#endif /* WSGI_START_H */
