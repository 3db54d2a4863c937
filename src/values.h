/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Values as options and ports take them: text into what it means. Pure. Each function returns
 * whether the text is such a value, and writes only then; VALUES_..._TAKES completes "takes ...".
 */
#ifndef VALUES_H
#define VALUES_H

#include "backends/kinds.h"

#include <stdbool.h>
#include <stdint.h>

/* The number that `text` begins with, up to `max`; *ret_end is where it ends. */
bool values_number(const char *text, uint64_t max, int base, const char **ret_end, uint64_t *ret);

/* Nothing but a decimal number. */
bool values_whole(const char *text, uint64_t min, uint64_t max, uint64_t *ret);

#define VALUES_BACKEND_TAKES "a kind of backend, see --help"
bool values_backend(const char *text, const struct backend_kind **ret_kind);

#define VALUES_TCP_PORT_TAKES "a port from 1 to 65535"
bool values_tcp_port(const char *text, uint16_t *ret_port);

#define VALUES_TCP_PROTOCOL_TAKES "raw or telnet"
bool values_tcp_protocol(const char *text, bool *ret_telnet);

#define VALUES_ACCESS_TAKES "shared, exclusive, watch or single"
bool values_access(const char *text, enum access *ret_access);

/*
 * A path, but none of this process's descriptors besides 1 and 2: the others aren't known to
 * whoever says so.
 */
#define VALUES_LOG_FILE_TAKES "a path; of this process's descriptors only 1 and 2"
bool values_log_file(const char *text, const char **ret_path);

/* Bytes, up to a power of two. */
#define VALUES_HISTORY_TAKES "4096 to 1G bytes; K, M and G are understood"
bool values_history(const char *text, uint64_t *ret_bytes);

#define VALUES_PATH_TAKES "a path"
bool values_path(const char *text, const char **ret_path);

/*
 * The path of guest number `i`: with the number appended, or in a pattern where "%i" stands. The
 * caller's to free; NULL if there is no memory.
 */
char *values_append_number(const char *path, unsigned int i);
char *values_insert_number(const char *pattern, unsigned int i);

/*
 * The log of guest number `i`, likewise. In /dev and /proc, where files can't be kept, a path
 * without "%i" is that of a device, and is used as it is.
 */
char *values_log_of(const char *pattern, unsigned int i);

#endif
