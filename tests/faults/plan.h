/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Which of the program's calls fail: the environment's FAULTS, "KIND FIRST COUNT EVERY".
 *
 * Calls of that kind are numbered from 1; FIRST fails, and one in EVERY from there on, here and
 * there but always the same, until COUNT have failed. At the end of the process the file
 * FAULTS_REPORT is written: how many calls there were and how many of them failed.
 */
#ifndef FAULTS_PLAN_H
#define FAULTS_PLAN_H

#include <stdbool.h>

enum plan_kind {
	PLAN_MEMORY,     /* malloc() and the like, mmap() */
	PLAN_FILES,      /* whatever gives a new descriptor */
	PLAN_CALLS,      /* other system calls, of which none should fail */
	PLAN_RING,       /* requests to io_uring: short of memory, descriptors, room on the disk */
	PLAN_INTERRUPTS, /* requests to io_uring, and entering it: -EINTR */
	PLAN_ENTER,      /* entering io_uring: -EAGAIN and -EBUSY in turn */
	PLAN_KINDS,
};

/* Counts a call of that kind. Whether it is to fail. */
bool plan_fails(enum plan_kind kind);

/* The size of the submission queue, or 0 for the program's: the environment's FAULTS_ENTRIES. */
unsigned int plan_entries(void);

#endif
