/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Whether bytes are UTF-8.
 */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include <stdint.h>

/*
 * The character that the terminated `text` begins with. Returns its length in bytes; 0 if there is
 * none: at the end, and where the bytes aren't UTF-8 (also overlong ones and surrogates).
 */
unsigned int utf8_first(const char *text, uint32_t *ret_character);

#endif
