/*
 * Copyright (C) the ngx_wsgi authors
 * SPDX-License-Identifier: Apache-2.0
 *
 * The Python stacks of all threads, when the GIL cannot be had.
 *
 * faulthandler can write them without the GIL: it only reads memory, and calls
 * nothing but write().  What it reads must not change under its eyes though,
 * or it may fault, and nobody can promise that the GIL stays where it is.  So
 * a copy of this process looks at a copy of the memory.  Whatever happens
 * there, the worker goes on.
 *
 * The copy is made by the system call itself.  fork() would call what C
 * libraries have registered with pthread_atfork(), and that may wait for locks
 * or end threads; and this child does not send SIGCHLD, and is seen by no
 * wait() of an application that does not ask for __WALL.
 *
 * What faulthandler registers for a signal is called here as the function it
 * is.  dump_traceback_later() would do, but there is only one in a process, and
 * it is the application's.  No signal is ever sent: it would end the sleep()
 * or poll() in C that it finds a thread in.
 */

#include "wsgi_python.h"

#include <errno.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>


/* how long the child may take, in steps of 5 ms */

#define WSGI_DUMP_STEP   5000000
#define WSGI_DUMP_STEPS  200


static int wsgi_dump_register(PyObject *module, int fd);
static int wsgi_dump_signal(void);
static void wsgi_dump_child(void);
static unsigned long wsgi_dump_holder(void);
static void wsgi_dump_first(PyThreadState *head, PyThreadState *tstate);
static void wsgi_dump_wait(pid_t pid);


static pthread_mutex_t  wsgi_dump_lock = PTHREAD_MUTEX_INITIALIZER;
static int              wsgi_dump_fd = -1;
static int              wsgi_dump_signo;
static void           (*wsgi_dump_handler)(int signo);


int
wsgi_dump_init(void)
{
    int        fd, rc;
    PyObject  *module;

    module = PyImport_ImportModule("faulthandler");
    if (module == NULL) {
        return -1;
    }

    rc = -1;
    fd = memfd_create("ngx_wsgi stacks", MFD_CLOEXEC);

    if (fd == -1) {
        PyErr_SetFromErrno(PyExc_OSError);

    } else {
        rc = wsgi_dump_register(module, fd);
    }

    if (rc != 0 && fd != -1) {
        (void) close(fd);
    }

    Py_DECREF(module);

    return rc;
}


static int
wsgi_dump_register(PyObject *module, int fd)
{
    PyObject          *rv;
    struct sigaction   sa;

    wsgi_dump_signo = wsgi_dump_signal();

    /* register(signum, file, all_threads, chain) */

    rv = PyObject_CallMethod(module, "register", "iiii", wsgi_dump_signo, fd,
                             1, 0);
    Py_XDECREF(rv);

    if (rv == NULL) {
        return -1;
    }

    if (sigaction(wsgi_dump_signo, NULL, &sa) == -1) {
        PyErr_SetFromErrno(PyExc_OSError);
        return -1;
    }

    wsgi_dump_handler = sa.sa_handler;
    wsgi_dump_fd = fd;

    return 0;
}


/*
 * A signal that nobody has a use for: from the end, since those who choose one
 * of the real-time signals begin at the first.
 */

static int
wsgi_dump_signal(void)
{
    int               signo;
    struct sigaction  sa;

    for (signo = SIGRTMAX; signo > SIGRTMIN; signo--) {
        if (sigaction(signo, NULL, &sa) == 0 && sa.sa_handler == SIG_DFL) {
            break;
        }
    }

    return signo;
}


void
wsgi_dump_end(void)
{
    pthread_mutex_lock(&wsgi_dump_lock);

    if (wsgi_dump_fd != -1) {
        (void) close(wsgi_dump_fd);
        wsgi_dump_fd = -1;
    }

    pthread_mutex_unlock(&wsgi_dump_lock);
}


size_t
wsgi_dump(uint64_t *holder, char *buf, size_t len)
{
    pid_t          pid;
    ssize_t        n;
    sigset_t       all, old;
    unsigned long  ident;

    n = 0;
    *holder = 0;

    pthread_mutex_lock(&wsgi_dump_lock);

    if (wsgi_dump_fd == -1
        || ftruncate(wsgi_dump_fd, 0) == -1
        || lseek(wsgi_dump_fd, 0, SEEK_SET) == -1)
    {
        goto done;
    }

    /* nobody's handler runs in the child, and a fault there ends it at once */

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);

    pid = (pid_t) syscall(SYS_clone, 0UL, NULL, NULL, NULL, 0UL);

    if (pid == 0) {
        wsgi_dump_child();
    }

    pthread_sigmask(SIG_SETMASK, &old, NULL);

    if (pid == -1) {
        goto done;
    }

    wsgi_dump_wait(pid);

    if (pread(wsgi_dump_fd, &ident, sizeof(ident), 0)
        == (ssize_t) sizeof(ident))
    {
        *holder = ident;
        n = pread(wsgi_dump_fd, buf, len, sizeof(ident));
    }

    (void) ftruncate(wsgi_dump_fd, 0);

done:

    pthread_mutex_unlock(&wsgi_dump_lock);

    return n > 0 ? (size_t) n : 0;
}


size_t
wsgi_dump_here(char *buf, size_t len)
{
    ssize_t         n;
    PyThreadState  *tstate;

    if (wsgi_dump_fd == -1
        || ftruncate(wsgi_dump_fd, 0) == -1
        || lseek(wsgi_dump_fd, 0, SEEK_SET) == -1)
    {
        return 0;
    }

    /* the thread that has died is the one that must not be missing */

    tstate = PyGILState_GetThisThreadState();

    if (tstate) {
        wsgi_dump_first(
            PyInterpreterState_ThreadHead(PyThreadState_GetInterpreter(tstate)),
            tstate);
    }

    wsgi_dump_handler(wsgi_dump_signo);

    n = pread(wsgi_dump_fd, buf, len, 0);

    return n > 0 ? (size_t) n : 0;
}


/* Only async-signal-safe calls: other threads' locks are locked for ever. */

static void
wsgi_dump_child(void)
{
    unsigned long  ident;

    (void) prctl(PR_SET_DUMPABLE, 0);

    ident = wsgi_dump_holder();

    if (write(wsgi_dump_fd, &ident, sizeof(ident)) == (ssize_t) sizeof(ident))
    {
        wsgi_dump_handler(wsgi_dump_signo);
    }

    _exit(0);
}


/*
 * In the child.  The identifier of the thread that holds the GIL, or 0; it is
 * among the first in this copy of the list.
 */

static unsigned long
wsgi_dump_holder(void)
{
    PyThreadState  *head, *tstate;

    head = PyInterpreterState_ThreadHead(PyInterpreterState_Main());

    for (tstate = head; tstate; tstate = PyThreadState_Next(tstate)) {
        if (wsgi_compat_holds_gil(tstate)) {
            break;
        }
    }

    if (tstate == NULL) {
        return 0;
    }

    wsgi_dump_first(head, tstate);

    return tstate->thread_id;
}


/*
 * faulthandler writes the stacks of 100 threads and no more, and the youngest
 * first: moves a thread to the second place of the list.  In a process that is
 * about to end: this does not ask for the list's lock.
 */

static void
wsgi_dump_first(PyThreadState *head, PyThreadState *tstate)
{
    if (tstate == head) {
        return;
    }

    tstate->prev->next = tstate->next;

    if (tstate->next) {
        tstate->next->prev = tstate->prev;
    }

    tstate->prev = head;
    tstate->next = head->next;

    if (head->next) {
        head->next->prev = tstate;
    }

    head->next = tstate;
}


static void
wsgi_dump_wait(pid_t pid)
{
    int              i, status;
    struct timespec  step = { 0, WSGI_DUMP_STEP };

    for (i = 0; i < WSGI_DUMP_STEPS; i++) {
        if (waitpid(pid, &status, __WALL|WNOHANG) != 0) {
            return;
        }

        (void) nanosleep(&step, NULL);
    }

    (void) kill(pid, SIGKILL);

    while (waitpid(pid, &status, __WALL) == -1 && errno == EINTR) {
        /* void */
    }
}
