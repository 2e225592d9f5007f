/*
 * Copyright (C) the ngx_wsgi authors
 * SPDX-License-Identifier: Apache-2.0
 *
 * fuzz.h: between the engine and a target.
 */

#ifndef FUZZ_H
#define FUZZ_H

#include <stddef.h>
#include <stdint.h>


/* The target's: tokens worth trying, the last is NULL. */
extern const char *const  fuzz_words[];

/* The target's, once. */
void fuzz_init(void);

/*
 * The target's.  Runs the code under test with an input, which is malloc()ed
 * to its length, and calls fuzz_fail() if the outcome is wrong.
 */
void fuzz_one(const uint8_t *p, size_t len);

/* The engine's.  Says what is wrong; does not return. */
void fuzz_fail(const char *format, ...)
    __attribute__((noreturn, format(printf, 1, 2)));


/* A cursor over the input, for targets that read numbers and pieces from it. */

typedef struct {
    const uint8_t  *pos;
    const uint8_t  *end;
} fuzz_cursor_t;

/* The next byte, 0 at the end. */
static inline uint8_t
fuzz_byte(fuzz_cursor_t *c)
{
    return (c->pos < c->end) ? *c->pos++ : 0;
}


/*
 * What comes before the next byte "stop", which is skipped, or before the end:
 * its length, and *p.  Any other byte may be in it.
 */
static inline size_t
fuzz_piece(fuzz_cursor_t *c, uint8_t stop, const uint8_t **p)
{
    size_t  len;

    *p = c->pos;

    while (c->pos < c->end && *c->pos != stop) {
        c->pos++;
    }

    len = (size_t) (c->pos - *p);

    if (c->pos < c->end) {
        c->pos++;
    }

    return len;
}


#endif /* FUZZ_H */
