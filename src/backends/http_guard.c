/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The grammar of a browser's first bytes; see http_guard.h. Must not keep anything. */
#include "backends/http_guard.h"

#include "base/macros.h"

#include <stdbool.h>
#include <string.h>

/* RFC 9110, 5.6.2: what a method consists of. */
static bool is_token(uint8_t c)
{
	static const char others[] = "!#$%&'*+-.^_`|~";

	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
	       (c != '\0' && strchr(others, c));
}

static bool is_visible(uint8_t c)
{
	return c > ' ' && c != 0x7f;
}

/* How many bytes at the beginning are of a kind. */
static size_t span(const uint8_t *bytes, size_t len, bool (*is)(uint8_t c))
{
	size_t n = 0;

	while (n < len && is(bytes[n]))
		n++;
	return n;
}

/* As all methods are that a browser sends to another site than the page's own (Fetch, 4.8). */
static bool is_in_capitals(const uint8_t *method, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (method[i] >= 'a' && method[i] <= 'z')
			return false;
	}
	return method[0] >= 'A' && method[0] <= 'Z';
}

/* The line ends too early to tell. `whole`: of its method, with the blank behind it. */
static enum http_verdict judge_part(const uint8_t *bytes, size_t len, size_t method, bool whole)
{
	if (len >= HTTP_GUARD_BYTES)
		return whole ? HTTP_VERDICT_REQUEST : HTTP_VERDICT_NONE;
	if (is_in_capitals(bytes, method))
		return whole ? HTTP_VERDICT_LIKELY : HTTP_VERDICT_MAYBE;
	return len > HTTP_GUARD_TYPED_BYTES ? HTTP_VERDICT_MAYBE : HTTP_VERDICT_NONE;
}

/* What follows the target. Whether it is HTTP's version or, with *ret_part, may become it. */
static bool is_version(const uint8_t *bytes, size_t len, bool *ret_part)
{
	static const uint8_t form[] = "HTTP/#.#";
	size_t n = MIN(len, sizeof(form) - 1);

	*ret_part = n < sizeof(form) - 1;
	for (size_t i = 0; i < n; i++) {
		bool digit = bytes[i] >= '0' && bytes[i] <= '9';

		if (form[i] == '#' ? !digit : bytes[i] != form[i])
			return false;
	}
	return true;
}

static enum http_verdict judge_line(const uint8_t *bytes, size_t len)
{
	size_t method = span(bytes, len, is_token);
	size_t at = method + 1, target;
	bool part;

	if (method == len)
		return judge_part(bytes, len, method, false);
	if (method == 0 || bytes[method] != ' ')
		return HTTP_VERDICT_NONE;
	target = span(bytes + at, len - at, is_visible);
	if (at + target == len)
		return judge_part(bytes, len, method, true);
	at += target + 1;
	if (target == 0 || bytes[at - 1] != ' ' || !is_version(bytes + at, len - at, &part))
		return HTTP_VERDICT_NONE;
	return part ? judge_part(bytes, len, method, true) : HTTP_VERDICT_REQUEST;
}

/* A record of type handshake, of any version 3.x, that begins with a ClientHello. */
static enum http_verdict judge_tls(const uint8_t *bytes, size_t len)
{
	static const struct {
		uint8_t min, max;
	} hello[] = {{22, 22}, {3, 3}, {0, 4}, {0, 255}, {0, 255}, {1, 1}};
	size_t n = MIN(len, ARRAY_SIZE(hello));

	for (size_t i = 0; i < n; i++) {
		if (bytes[i] < hello[i].min || bytes[i] > hello[i].max)
			return HTTP_VERDICT_NONE;
	}
	return n == ARRAY_SIZE(hello) ? HTTP_VERDICT_TLS : HTTP_VERDICT_MAYBE;
}

enum http_verdict http_guard_judge(const uint8_t *bytes, size_t len)
{
	if (len == 0)
		return HTTP_VERDICT_MAYBE;
	return bytes[0] == 22 ? judge_tls(bytes, len) : judge_line(bytes, len);
}
