/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The way to fail, the clock and numbers. See support.h.
 */
#include "support.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

void (*support_on_die)(const char *message);

void support_die(const char *format, ...)
{
	char message[512];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(message, sizeof(message), format, arguments);
	va_end(arguments);
	if (support_on_die)
		support_on_die(message);
	fprintf(stderr, "test support: %s\n", message);
	fflush(stderr);
	abort();
}

uint64_t support_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static uint64_t deadline_ms;

void support_set_deadline_ms(uint64_t milliseconds)
{
	deadline_ms = milliseconds;
}

uint64_t support_deadline_ms(void)
{
	const char *text;

	if (deadline_ms)
		return deadline_ms;
	text = getenv("SUPPORT_DEADLINE_MS");
	deadline_ms = text ? strtoull(text, NULL, 10) : 0;
	if (!deadline_ms)
		deadline_ms = 120000;
	return deadline_ms;
}

uint64_t support_number(const char *text, uint64_t most)
{
	unsigned long long number;
	char *end;

	errno = 0;
	number = strtoull(text, &end, 10);
	if (!isdigit((unsigned char)*text) || *end || errno || number > most)
		support_die("\"%s\" isn't a number up to %llu", text, (unsigned long long)most);
	return number;
}

bool support_is_gap_line(const char *line, uint64_t *ret_skipped)
{
	static const char begin[] = "\r\n[vhost-user-console: ";
	size_t len = sizeof(begin) - 1;
	char *end;

	if (strncmp(line, begin, len) != 0 || !isdigit((unsigned char)line[len]))
		return false;
	*ret_skipped = strtoull(line + len, &end, 10);
	return strcmp(end, " bytes skipped]\r\n") == 0;
}

int support_send_fd(int sock, int fd)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(fd))];
	} control = {.bytes = {0}};
	struct iovec iov = {"x", 1};
	struct msghdr msg = {.msg_iov = &iov,
	                     .msg_iovlen = 1,
	                     .msg_control = control.bytes,
	                     .msg_controllen = sizeof(control.bytes)};
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(fd));
	memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	return sendmsg(sock, &msg, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

void support_fill_pattern(void *bytes, uint64_t length, uint64_t position)
{
	uint8_t *byte = bytes;
	uint64_t i;

	/* 223 is prime: the pattern never lines up with buffer sizes. It starts above 0x0f. */
	for (i = 0; i < length; i++)
		byte[i] = (uint8_t)(' ' + (position + i) % 223);
}
