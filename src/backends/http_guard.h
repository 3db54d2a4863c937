/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Tells a web page's request from what people and programs type at a console, by the first bytes of
 * a connection. Any page can have its browser send a form to a TCP port of this machine, with a
 * body of its choice.
 *
 * A browser begins with a request line (RFC 9112, 3: method SP target SP "HTTP/" DIGIT "." DIGIT;
 * HTTP/2's preface has the same form) or, for https, with a TLS ClientHello (RFC 8446, 5.1), and
 * sends it as fast as the connection takes it. A person sends a key at a time, a program a line.
 * So bytes that may become such a beginning are held only while more of them follow, and a few
 * lower-case letters aren't held at all.
 *
 * Pure: bytes in, a verdict out. It must not see a socket or a clock.
 */
#ifndef BACKENDS_HTTP_GUARD_H
#define BACKENDS_HTTP_GUARD_H

#include <stddef.h>
#include <stdint.h>

/* So many bytes are looked at. A longer request line has a target of that length: it is one. */
#define HTTP_GUARD_BYTES 8192u

/*
 * So few bytes may be typed, unless they begin with a method in capitals. Only to a page's own site
 * does a browser send other methods unasked, and it doesn't cut a line up so small.
 */
#define HTTP_GUARD_TYPED_BYTES 64u

enum http_verdict {
	HTTP_VERDICT_NONE,    /* it isn't a browser */
	HTTP_VERDICT_MAYBE,   /* it may become one's first bytes: see HTTP_GUARD_QUIET_MS */
	HTTP_VERDICT_LIKELY,  /* a method in capitals and a blank: HTTP_GUARD_LIKELY_MS */
	HTTP_VERDICT_REQUEST, /* a request line */
	HTTP_VERDICT_TLS,     /* a ClientHello */
};

/*
 * How long a connection has to be quiet, in ms, until what it began with is taken for typed: less
 * than a person needs from one key to the next. What looks like a request already may have lost a
 * segment, which TCP sends again after 200 ms or more.
 */
#define HTTP_GUARD_QUIET_MS  50
#define HTTP_GUARD_LIKELY_MS 1000

/* Judges all that a connection has sent so far: `len` bytes, at most HTTP_GUARD_BYTES. */
enum http_verdict http_guard_judge(const uint8_t *bytes, size_t len);

#endif
