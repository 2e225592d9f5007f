/*
 * Copyright (C) the ngx_wsgi authors
 * SPDX-License-Identifier: Apache-2.0
 *
 * A fault in C code, as a C extension may make, ends the worker at once and by
 * its signal, so that nginx replaces it and a core dump shows the fault.
 *
 * Go's runtime would take the fault for its own: it prints the stacks of all
 * its threads for some seconds, while the worker holds its connections and
 * serves none, sends SIGQUIT around, and ends by SIGABRT.  It passes faults of
 * C code on to a handler that was there before it, so one has to be.
 */

#include <signal.h>
#include <stddef.h>


static void
wsgi_crash_handler(int signo, siginfo_t *info, void *context)
{
    (void) context;

    /* the instruction is executed again, now without a handler */

    (void) signal(signo, SIG_DFL);

    /* but kill() has no instruction, and Go would put its handler back */

    if (info->si_code <= 0) {
        (void) raise(signo);
    }
}


/* loop, in dlopen(): 101 is before Go's own initialization */

__attribute__((constructor(101)))
static void
wsgi_crash_init(void)
{
    size_t            i;
    struct sigaction  sa, old;

    static const int  signals[] = { SIGSEGV, SIGBUS, SIGFPE };

    for (i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {

        if (sigaction(signals[i], NULL, &old) != 0
            || old.sa_handler != SIG_DFL)
        {
            continue;
        }

        sa = old;
        sa.sa_sigaction = wsgi_crash_handler;
        sa.sa_flags = SA_ONSTACK|SA_SIGINFO;

        (void) sigaction(signals[i], &sa, NULL);
    }
}
