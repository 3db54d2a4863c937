/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "values.h"

#include "base/macros.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HISTORY_MIN 4096u
#define HISTORY_MAX (1ull << 30)

bool values_number(const char *text, uint64_t max, int base, const char **ret_end, uint64_t *ret)
{
	uint64_t number;
	char *end;

	/* strtoull() would take a sign or a space. */
	if (text[0] < '0' || text[0] > '9')
		return false;
	errno = 0;
	number = strtoull(text, &end, base);
	if (errno != 0 || number > max)
		return false;
	*ret_end = end;
	*ret = number;
	return true;
}

bool values_whole(const char *text, uint64_t min, uint64_t max, uint64_t *ret)
{
	const char *end;
	uint64_t number;

	if (!values_number(text, max, 10, &end, &number) || *end != '\0' || number < min)
		return false;
	*ret = number;
	return true;
}

bool values_backend(const char *text, const struct backend_kind **ret_kind)
{
	for (const struct backend_kind *kind = backend_kinds; kind->name; kind++) {
		if (strcmp(kind->name, text) == 0) {
			*ret_kind = kind;
			return true;
		}
	}
	return false;
}

bool values_tcp_port(const char *text, uint16_t *ret_port)
{
	uint64_t port;

	if (!values_whole(text, 1, UINT16_MAX, &port))
		return false;
	*ret_port = (uint16_t)port;
	return true;
}

bool values_tcp_protocol(const char *text, bool *ret_telnet)
{
	bool telnet = strcmp(text, "telnet") == 0;

	if (!telnet && strcmp(text, "raw") != 0)
		return false;
	*ret_telnet = telnet;
	return true;
}

bool values_access(const char *text, enum access *ret_access)
{
	static const char *const names[] = {
	    [ACCESS_SHARED] = "shared",
	    [ACCESS_EXCLUSIVE] = "exclusive",
	    [ACCESS_WATCH] = "watch",
	    [ACCESS_SINGLE] = "single",
	};

	for (unsigned int i = 0; i < ARRAY_SIZE(names); i++) {
		if (strcmp(names[i], text) == 0) {
			*ret_access = (enum access)i;
			return true;
		}
	}
	return false;
}

bool values_history(const char *text, uint64_t *ret_bytes)
{
	static const char units[] = "KMG";
	uint64_t number, bytes = HISTORY_MIN;
	const char *end, *unit;

	if (!values_number(text, HISTORY_MAX, 10, &end, &number))
		return false;
	unit = *end ? strchr(units, *end) : NULL;
	if (*end && (!unit || end[1]))
		return false;
	number <<= unit ? 10 * (unit - units + 1) : 0;
	if (number < HISTORY_MIN || number > HISTORY_MAX)
		return false;
	while (bytes < number)
		bytes *= 2;
	*ret_bytes = bytes;
	return true;
}

bool values_path(const char *text, const char **ret_path)
{
	if (text[0] == '\0')
		return false;
	*ret_path = text;
	return true;
}

/* What comes after `begin`, or NULL if the text doesn't begin so. */
static const char *after(const char *text, const char *begin)
{
	size_t len = strlen(begin);

	return strncmp(text, begin, len) == 0 ? text + len : NULL;
}

bool values_log_file(const char *text, const char **ret_path)
{
	const char *number = after(text, "/dev/fd/");

	if (!number)
		number = after(text, "/proc/self/fd/");
	if (number && strcmp(number, "1") != 0 && strcmp(number, "2") != 0)
		return false;
	return strcmp(text, "/dev/stdin") != 0 && values_path(text, ret_path);
}

char *values_append_number(const char *path, unsigned int i)
{
	char *text;

	return asprintf(&text, "%s%u", path, i) < 0 ? NULL : text;
}

char *values_insert_number(const char *pattern, unsigned int i)
{
	const char *place = strstr(pattern, "%i");
	char *text;

	if (!place)
		return values_append_number(pattern, i);
	return asprintf(&text, "%.*s%u%s", (int)(place - pattern), pattern, i, place + 2) < 0
	           ? NULL
	           : text;
}

char *values_log_of(const char *pattern, unsigned int i)
{
	bool device = (after(pattern, "/dev/") && !after(pattern, "/dev/shm/") &&
	               !after(pattern, "/dev/mqueue/")) ||
	              after(pattern, "/proc/");

	return device && !strstr(pattern, "%i") ? strdup(pattern)
	                                        : values_insert_number(pattern, i);
}
