/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The command line into a configuration. Touches nothing but its arguments, standard output (for
 * help and the like) and standard error (for the one line that says what is wrong).
 */
#ifndef OPTIONS_H
#define OPTIONS_H

#include "config.h"

enum options_result {
	OPTIONS_RUN,  /* *ret_config is filled in, to be freed */
	OPTIONS_DONE, /* help, version or capabilities were asked for and printed */
	OPTIONS_USAGE /* the line was printed */
};

#define OPTIONS_USAGE_EXIT 2

enum options_result options_parse(int argc, char **argv, struct config *ret_config);
void options_free(struct config *config);

#endif
