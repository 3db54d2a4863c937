/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What is said of one port, as "KEY=VALUE,...", into its configuration. Pure: for the command line
 * as well as for ports that are added while guests run.
 *
 * A comma in a value is written twice. No key is given twice. A key that the port's backend has no
 * use for is an error. The backend, unless it is said, is the one that the place belongs to.
 */
#ifndef PORT_SPEC_H
#define PORT_SPEC_H

#include "config.h"

/* Room for what is wrong, one line without its end; a longer one is cut. */
#define PORT_SPEC_ERROR_MAX 512

/* The longest name, in bytes. */
#define PORT_SPEC_NAME_MAX 64

/*
 * The port of guest number `guest_index` that `text` describes; a NULL text says nothing.
 *
 * What it doesn't say is as in `defaults`. In these and in the text TCP ports and paths are those
 * of guest 0 and without a number: guest i's TCP port is i further on, and its paths have its
 * number as the general options' have it. Paths of `defaults` may be NULL.
 *
 * Returns whether the text is a port; otherwise `ret_error` says what is wrong with it. *ret is
 * the caller's to port_config_deinit().
 */
bool port_spec_parse(const char *text, const struct port_config *defaults, unsigned int guest_index,
                     struct port_config *ret, char ret_error[PORT_SPEC_ERROR_MAX]);

/* Key number `i` and what its value is, for --help; NULL after the last. */
const char *port_spec_key(unsigned int i, const char **ret_value);

#endif
