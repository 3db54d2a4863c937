/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A file system that doesn't answer: one of our own (FUSE), whose server is a process that answers
 * nothing, or everything until a file is written. It has one file, "log".
 *
 * Its requests can be ended only by ending the server, which hung_files_end() does.
 */
#ifndef HUNG_FILES_H
#define HUNG_FILES_H

#include <stdbool.h>
#include <sys/types.h>

enum hung_files_from {
	HUNG_FROM_THE_BEGINNING,
	HUNG_FROM_THE_FIRST_WRITE,
};

struct hung_files {
	char folder[32];
	char file[40]; /* the path of "log" */
	pid_t server;
	int hangs; /* readable once nothing is answered any more */
};

/*
 * Mounts one, where only this process and its children see it: call it before there are threads.
 * False if that can't be done here, having said why; then there is nothing to end.
 */
bool hung_files_begin(struct hung_files *files, enum hung_files_from from);
void hung_files_end(struct hung_files *files);

#endif
