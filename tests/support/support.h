/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What every file of the test support library needs: the way to fail, the clock, numbers.
 *
 * The library is the other side of the daemon: a vhost-user frontend, guest memory and a
 * virtio-console driver. It includes nothing from src/, so that a misreading of the
 * specifications there isn't repeated here.
 *
 * Nothing in it returns an error that a test would have to pass on. What a test asks about (was the
 * request refused? did the peer close?) is a return value; everything unexpected is support_die().
 */
#ifndef SUPPORT_H
#define SUPPORT_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Ends the test: prints the message, then abort(). When support_on_die is set it is called first,
 * with the message, and may leave by longjmp (cmocka: fail_msg("%s", message)).
 */
void support_die(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));
extern void (*support_on_die)(const char *message);

/* Milliseconds of a clock that only goes forward. */
uint64_t support_now_ms(void);

/*
 * How long anything is waited for before support_die(): 120,000 ms, or the environment's
 * SUPPORT_DEADLINE_MS, or what was set (0: none was). No test passes by it, it only ends what
 * hangs: what is waited for comes within a hundredth of it on a quiet machine, so that a slow or
 * busy one does no harm. An emulated one needs more.
 */
uint64_t support_deadline_ms(void);
void support_set_deadline_ms(uint64_t milliseconds);

/* The decimal number that all of the text is; dies if it isn't one up to `most`. */
uint64_t support_number(const char *text, uint64_t most);

/* Whether this is all of the line that tells a reader how many bytes it hasn't got. */
bool support_is_gap_line(const char *line, uint64_t *ret_skipped);

/* Sends a byte with a copy of `fd` to the Unix socket's peer. Returns 0 or -errno. */
int support_send_fd(int sock, int fd);

/* A pattern that is cheap to make and to check; no byte of it is 0x0f, Linux's sysrq key. */
void support_fill_pattern(void *bytes, uint64_t length, uint64_t position);

#endif
