/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Options, daemon, exit code.
 */
#include "base/fd.h"
#include "base/log.h"
#include "daemon.h"
#include "options.h"
#include "process/signals.h"

#include <stdlib.h>
#include <string.h>

int main(int argc, char **argv)
{
	struct config config;
	int exit_code;

	signals_guard();
	exit_code = fd_reserve_standard();
	if (exit_code < 0) {
		log_error("/dev/null: %s", strerror(-exit_code));
		return EXIT_FAILURE;
	}
	switch (options_parse(argc, argv, &config)) {
	case OPTIONS_RUN:
		break;
	case OPTIONS_DONE:
		return EXIT_SUCCESS;
	default:
		return OPTIONS_USAGE_EXIT;
	}
	log_set_level(config.log_level);
	log_open();
	exit_code = daemon_run(&config) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
	options_free(&config);
	log_close();
	return exit_code;
}
