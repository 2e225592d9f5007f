/*
 * Copyright (C) the ngx_wsgi authors
 * SPDX-License-Identifier: Apache-2.0
 *
 * A fault in C code, as a C extension may make, ends the worker at once and by
 * its signal, so that nginx replaces it and a core dump shows the fault.
 * Before that, the Python stacks of all threads go to the error log, and what
 * they say of requests to the host, which tells it in its report.
 *
 * Go's runtime would take the fault for its own: it prints the stacks of all
 * its threads for some seconds, while the worker holds its connections and
 * serves none, sends SIGQUIT around, and ends by SIGABRT.  So there are two
 * handlers around Go's:
 *
 *   wsgi_crash_first  is what the kernel calls.  Go has to see faults, since
 *                     they may be Go's, where they are panics; what somebody
 *                     sent is not for Go.
 *   wsgi_crash_last   was there before Go's, which passes on to it the faults
 *                     that are not Go's.
 *
 * An application may put another before the first (faulthandler.enable()
 * does), which then comes back to it by raise().
 */

#include "wsgi_python.h"

#include <signal.h>
#include <stdio.h>
#include <unistd.h>


#define WSGI_CRASH_TEXT  (128 * 1024)


static const int  wsgi_crash_signals[] = {
    SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT
};

#define WSGI_CRASH_NSIGNALS  \
    (sizeof(wsgi_crash_signals) / sizeof(wsgi_crash_signals[0]))


static void wsgi_crash_last(int signo, siginfo_t *info, void *context);
static void wsgi_crash_first(int signo, siginfo_t *info, void *context);
static void wsgi_crash_report(int signo);
static void wsgi_crash_write(const char *text, size_t len);
static void wsgi_crash_threads(int signo, const char *p, const char *end);
static void wsgi_crash_where(int signo, uint64_t thread, const char *file,
    size_t len);


static struct sigaction  wsgi_crash_go[WSGI_CRASH_NSIGNALS];
static pid_t             wsgi_crash_pid;
static _Atomic int       wsgi_crashed;


/* loop, in dlopen(): 101 is before Go's own initialization */

__attribute__((constructor(101)))
static void
wsgi_crash_init(void)
{
    size_t            i;
    struct sigaction  sa, old;

    for (i = 0; i < WSGI_CRASH_NSIGNALS; i++) {

        if (sigaction(wsgi_crash_signals[i], NULL, &old) != 0
            || old.sa_handler != SIG_DFL)
        {
            continue;
        }

        sa = old;
        sa.sa_sigaction = wsgi_crash_last;
        sa.sa_flags = SA_ONSTACK|SA_SIGINFO;

        (void) sigaction(wsgi_crash_signals[i], &sa, NULL);
    }
}


void
wsgi_crash_start(void)
{
    size_t            i;
    struct sigaction  sa;

    wsgi_crash_pid = getpid();

    for (i = 0; i < WSGI_CRASH_NSIGNALS; i++) {

        if (sigaction(wsgi_crash_signals[i], NULL, &sa) != 0
            || !(sa.sa_flags & SA_SIGINFO)
            || sa.sa_sigaction == wsgi_crash_last)
        {
            continue;
        }

        wsgi_crash_go[i] = sa;

        sa.sa_sigaction = wsgi_crash_first;

        (void) sigaction(wsgi_crash_signals[i], &sa, NULL);
    }
}


static void
wsgi_crash_first(int signo, siginfo_t *info, void *context)
{
    size_t  i;

    for (i = 0; i < WSGI_CRASH_NSIGNALS && info->si_code > 0; i++) {

        if (wsgi_crash_signals[i] == signo) {
            wsgi_crash_go[i].sa_sigaction(signo, info, context);
            return;
        }
    }

    wsgi_crash_last(signo, info, context);
}


static void
wsgi_crash_last(int signo, siginfo_t *info, void *context)
{
    (void) context;

    /* the instruction is executed again, now without a handler */

    (void) signal(signo, SIG_DFL);

    /* not in a child of the application's; not for a fault in here */

    if (getpid() == wsgi_crash_pid && atomic_exchange(&wsgi_crashed, 1) == 0) {
        wsgi_crash_report(signo);
    }

    /* but who called kill() has no instruction */

    if (info->si_code <= 0) {
        (void) raise(signo);
    }
}


/* From here on: async-signal-safe calls only. */

static void
wsgi_crash_report(int signo)
{
    int     n;
    char    line[128];
    size_t  len;

    static char  text[WSGI_CRASH_TEXT];

    len = wsgi_dump_here(text, sizeof(text));

    if (len == 0) {
        return;
    }

    /* formats no floating point and no locale: glibc's takes no lock here */

    n = snprintf(line, sizeof(line),
                 "wsgi: process %d got signal %d; Python's threads:\n",
                 (int) wsgi_crash_pid, signo);

    wsgi_crash_write(line, (size_t) n);
    wsgi_crash_write(text, len);

    wsgi_crash_threads(signo, text, text + len);
}


/* The standard error of a worker is the error log. */

static void
wsgi_crash_write(const char *text, size_t len)
{
    ssize_t  n;

    while (len) {
        n = write(STDERR_FILENO, text, len);

        if (n <= 0) {
            return;
        }

        text += n;
        len -= (size_t) n;
    }
}


/*
 * What faulthandler writes: "Thread 0x... (most recent call first):", or
 * "Current thread 0x...", and the frames, "  File "...", line 1 in f".  The
 * first frame that is not ours is where the thread is.
 */

static void
wsgi_crash_threads(int signo, const char *p, const char *end)
{
    int          current;
    char        *stop;
    uint64_t     thread;
    const char  *line;

    static const char  frame[] = "  File \"";
    static const char  own[] = "  File \"<ngx_wsgi";

    thread = 0;
    current = 0;

    for ( ;; ) {
        line = p;
        p = memchr(line, '\n', (size_t) (end - line));

        if (p == NULL) {
            return;
        }

        if (strncmp(line, "Thread 0x", 9) == 0
            || strncmp(line, "Current thread 0x", 17) == 0)
        {
            current = (*line == 'C');
            thread = strtoull(line + (current ? 15 : 7), &stop, 16);

        } else if (thread
                   && strncmp(line, frame, sizeof(frame) - 1) == 0
                   && strncmp(line, own, sizeof(own) - 1) != 0)
        {
            wsgi_crash_where(current ? signo : 0, thread, line + 2,
                             (size_t) (p - line) - 2);
            thread = 0;
        }

        p++;
    }
}


/* "signo" is 0 for threads that have done nothing. */

static void
wsgi_crash_where(int signo, uint64_t thread, const char *file, size_t len)
{
    int   n;
    char  where[640];            /* faulthandler cuts names at 500 */

    if (signo) {
        n = snprintf(where, sizeof(where), "signal %d at %.*s", signo,
                     (int) len, file);

    } else {
        n = snprintf(where, sizeof(where), "at %.*s", (int) len, file);
    }

    if (n > 0 && wsgi_host->where) {
        wsgi_host->where(thread, where,
                         (size_t) n < sizeof(where) ? (size_t) n
                                                    : sizeof(where) - 1);
    }
}
