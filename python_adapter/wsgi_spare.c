/*
 * Copyright (C) the ngx_wsgi authors
 * SPDX-License-Identifier: Apache-2.0
 *
 * Threads that Go has in reserve.  When Go needs a thread, be it for a timer
 * while others are in C, and the system has none, it ends the process.  It
 * never ends those that it once had and that are idle.  So it is made to have
 * some, by goroutines that are in C at the same time; and when they may have
 * been used up, it is asked whether there can be others.
 */

#include "wsgi_adapter.h"

#include <pthread.h>


typedef struct {
    pthread_mutex_t   lock;
    pthread_cond_t    complete;
    uint32_t          here;
    uint32_t          round;
} wsgi_spare_t;


static wsgi_spare_t  wsgi_spare = {
    PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0, 0
};


static void *wsgi_spare_thread(void *gate);


int
wsgi_spare_room(uint32_t n)
{
    int              err;
    uint32_t         i, started;
    pthread_t        threads[WSGI_SPARE_MAX];
    pthread_mutex_t  gate = PTHREAD_MUTEX_INITIALIZER;

    err = 0;

    pthread_mutex_lock(&gate);

    for (started = 0; started < n; started++) {
        err = pthread_create(&threads[started], NULL, wsgi_spare_thread,
                             &gate);
        if (err != 0) {
            break;
        }
    }

    pthread_mutex_unlock(&gate);

    for (i = 0; i < started; i++) {
        pthread_join(threads[i], NULL);
    }

    return err;
}


static void *
wsgi_spare_thread(void *gate)
{
    pthread_mutex_lock(gate);
    pthread_mutex_unlock(gate);

    return NULL;
}


void
wsgi_spare_gather(uint32_t n)
{
    uint32_t  round;

    pthread_mutex_lock(&wsgi_spare.lock);

    round = wsgi_spare.round;

    if (++wsgi_spare.here == n) {
        wsgi_spare.here = 0;
        wsgi_spare.round++;
        pthread_cond_broadcast(&wsgi_spare.complete);
    }

    while (round == wsgi_spare.round) {
        pthread_cond_wait(&wsgi_spare.complete, &wsgi_spare.lock);
    }

    pthread_mutex_unlock(&wsgi_spare.lock);
}
