/*
 * Copyright (C) the ngx_wsgi authors
 * SPDX-License-Identifier: Apache-2.0
 *
 * usage: TARGET SECONDS LAST SEED...     fuzzes, beginning with these files
 *        TARGET FILE                     runs one input
 *
 * A fuzzer guided by coverage, for gcc: what is under test is compiled with
 * -fsanitize-coverage=trace-pc and calls __sanitizer_cov_trace_pc() at each
 * branch.  An input that gets to a new place, or to one more often than any
 * before it, is kept, and others are made from it.
 *
 * The present input is in the file LAST, to be there after any kind of end; it
 * is removed if there was no failure.
 */

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "fuzz.h"


#define FUZZ_PLACES   16384
#define FUZZ_MAX      4096          /* bytes of an input */
#define FUZZ_KEPT     8192
#define FUZZ_PATIENCE 20            /* seconds for one input */


typedef struct {
    uint8_t   *data;
    size_t     len;
} fuzz_input_t;


static uint8_t       fuzz_counts[FUZZ_PLACES];
static uint8_t       fuzz_seen[FUZZ_PLACES];   /* a bit for each magnitude */
static fuzz_input_t  fuzz_kept[FUZZ_KEPT];
static size_t        fuzz_nkept;
static uint64_t      fuzz_random = 0x9e3779b97f4a7c15ull;


void __sanitizer_cov_trace_pc(void);


void
__sanitizer_cov_trace_pc(void)
{
    uint64_t  pc;
    uint8_t  *count;

    pc = (uint64_t) (uintptr_t) __builtin_return_address(0);
    count = &fuzz_counts[(pc * 0x9e3779b97f4a7c15ull) >> 50];

    *count += (*count < 255);
}


void
fuzz_fail(const char *format, ...)
{
    va_list  args;

    va_start(args, format);
    (void) vfprintf(stderr, format, args);
    va_end(args);

    (void) fputc('\n', stderr);
    abort();
}


static size_t
fuzz_below(size_t n)
{
    fuzz_random ^= fuzz_random << 13;
    fuzz_random ^= fuzz_random >> 7;
    fuzz_random ^= fuzz_random << 17;

    return (size_t) (fuzz_random % n);
}


/* 1: it was somewhere new. */

static int
fuzz_run(const uint8_t *p, size_t len)
{
    int       news;
    size_t    i;
    uint8_t   bit, *copy;

    memset(fuzz_counts, 0, sizeof(fuzz_counts));

    copy = malloc(len ? len : 1);
    if (copy == NULL) {
        fuzz_fail("no memory");
    }

    memcpy(copy, p, len);

    (void) alarm(FUZZ_PATIENCE);
    fuzz_one(copy, len);

    free(copy);

    for (news = 0, i = 0; i < FUZZ_PLACES; i++) {

        if (fuzz_counts[i] == 0) {
            continue;
        }

        bit = (uint8_t) (1u << (31 - __builtin_clz(fuzz_counts[i])));
        news |= !(fuzz_seen[i] & bit);
        fuzz_seen[i] |= bit;
    }

    return news;
}


static void
fuzz_keep(const uint8_t *p, size_t len)
{
    fuzz_input_t  *input;

    if (fuzz_nkept == FUZZ_KEPT) {
        return;
    }

    input = &fuzz_kept[fuzz_nkept++];

    input->len = len;
    input->data = malloc(len + 1);
    if (input->data == NULL) {
        fuzz_fail("no memory");
    }

    memcpy(input->data, p, len);
}


/* Puts "n" bytes in the place of "old" bytes at "at"; the new length. */

static size_t
fuzz_replace(uint8_t *p, size_t len, size_t at, size_t old, const uint8_t *with,
    size_t n)
{
    uint8_t  copy[FUZZ_MAX];

    if (n > FUZZ_MAX - (len - old)) {
        return len;
    }

    memcpy(copy, with, n);
    memmove(p + at + n, p + at + old, len - at - old);
    memcpy(p + at, copy, n);

    return len - old + n;
}


static size_t
fuzz_mutate(uint8_t *p, size_t len)
{
    size_t         at, n, words;
    uint8_t        byte;
    const char    *word;
    fuzz_input_t  *other;
    static const uint8_t  bytes[] =
        "\0\1\t\n\r \"%,:;=/09AZaz~\x7f\x80\xfe\xff";

    at = fuzz_below(len + 1);
    n = fuzz_below(len - at + 1);
    n = fuzz_below(n + 1);

    switch (fuzz_below(7)) {

    case 0:
        if (at < len) {
            p[at] ^= (uint8_t) (1u << fuzz_below(8));
        }
        return len;

    case 1:
        byte = bytes[fuzz_below(sizeof(bytes))];
        return fuzz_replace(p, len, at, at < len && fuzz_below(2), &byte, 1);

    case 2:
        byte = (uint8_t) fuzz_below(256);
        return fuzz_replace(p, len, at, at < len, &byte, 1);

    case 3:
        return fuzz_replace(p, len, at, n, p, 0);

    case 4:
        return fuzz_replace(p, len, fuzz_below(len + 1), 0, p + at, n);

    case 5:
        for (words = 0; fuzz_words[words]; words++) { /* void */ }
        word = fuzz_words[fuzz_below(words)];
        return fuzz_replace(p, len, at, 0, (const uint8_t *) word,
                            strlen(word));

    default:
        other = &fuzz_kept[fuzz_below(fuzz_nkept)];
        n = fuzz_below(other->len + 1);
        return fuzz_replace(p, len, at, 0, other->data + n,
                            fuzz_below(other->len - n + 1));
    }
}


static size_t
fuzz_read(const char *path, uint8_t *p)
{
    int      fd;
    ssize_t  n;

    fd = open(path, O_RDONLY|O_CLOEXEC);
    n = (fd == -1) ? -1 : read(fd, p, FUZZ_MAX);

    if (n == -1) {
        perror(path);
        exit(2);
    }

    (void) close(fd);

    return (size_t) n;
}


/* Runs an input, which is in the file "fd" meanwhile; keeps it if it is new. */

static void
fuzz_try(int fd, const uint8_t *p, size_t len)
{
    if (pwrite(fd, p, len, 0) != (ssize_t) len
        || ftruncate(fd, (off_t) len) != 0)
    {
        perror("the file of the present input");
        exit(2);
    }

    if (fuzz_run(p, len)) {
        fuzz_keep(p, len);
    }
}


static uint64_t
fuzz_loop(int fd, time_t seconds)
{
    time_t         end;
    size_t         len, times;
    uint8_t        p[FUZZ_MAX];
    uint64_t       runs;
    fuzz_input_t  *input;

    end = time(NULL) + seconds;

    for (runs = 0; (runs & 63) || time(NULL) < end; runs++) {

        input = &fuzz_kept[fuzz_below(fuzz_nkept)];
        len = input->len;
        memcpy(p, input->data, len);

        for (times = 1 + fuzz_below(6); times; times--) {
            len = fuzz_mutate(p, len);
        }

        fuzz_try(fd, p, len);
    }

    return runs;
}


int
main(int argc, char **argv)
{
    int       i, fd;
    size_t    places;
    uint8_t   p[FUZZ_MAX];
    uint64_t  runs;

    fuzz_init();

    if (argc == 2) {
        (void) fuzz_run(p, fuzz_read(argv[1], p));
        return 0;
    }

    if (argc < 4) {
        (void) fprintf(stderr, "usage: %s SECONDS LAST SEED... | FILE\n",
                       argv[0]);
        return 2;
    }

    fuzz_random += (uint64_t) time(NULL);

    fd = open(argv[2], O_RDWR|O_CREAT|O_TRUNC|O_CLOEXEC, 0644);
    if (fd == -1) {
        perror(argv[2]);
        return 2;
    }

    for (i = 3; i < argc; i++) {
        fuzz_try(fd, p, fuzz_read(argv[i], p));
    }

    if (fuzz_nkept == 0) {
        fuzz_fail("no seed gets anywhere: is there coverage at all?");
    }

    runs = fuzz_loop(fd, atoi(argv[1]));

    for (places = 0, i = 0; i < FUZZ_PLACES; i++) {
        places += fuzz_seen[i] != 0;
    }

    (void) printf("%llu inputs, %zu kept, %zu places\n",
                  (unsigned long long) runs, fuzz_nkept, places);

    (void) unlink(argv[2]);

    return 0;
}
