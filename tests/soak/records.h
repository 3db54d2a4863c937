/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What is sent through a console in the soak: numbered records, so that each end can tell by itself
 * whether bytes were lost, doubled or mixed up.
 *
 * A record is "{GUEST+STREAM NUMBER}" in hex. A stream is what one sender sends while it lives; its
 * numbers go up one by one. Around the records there may be 'x', which means nothing.
 */
#ifndef SOAK_RECORDS_H
#define SOAK_RECORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RECORD_BYTES 27

struct record_writer {
	uint64_t stream; /* of the guest in the upper 12 bits */
	uint32_t next;
};

/* `dice`: of so many streams no two may be the same, so it has more than 32 bits. */
void record_writer_init(struct record_writer *writer, unsigned int guest, uint64_t dice);

/* Fills `bytes` with `count` records. */
void record_write(struct record_writer *writer, char *bytes, unsigned int count);

struct record_reader {
	unsigned int guest;
	bool gaps;   /* a line that says how much is missing excuses what is missing */
	bool telnet; /* its commands are taken out */
	uint64_t stream;
	uint32_t last;
	bool begun, excused;
	unsigned int command; /* telnet: how far in one */
	char line[64];        /* the last bytes */
	size_t len;
};

/* At the beginning of a connection, where anything may come first. */
void record_reader_init(struct record_reader *reader, unsigned int guest, bool gaps, bool telnet);

/* support_die() if something is missing, doubled or another guest's. */
void record_read(struct record_reader *reader, const char *bytes, size_t len);

/* Whether all that was written has been read. */
bool record_is_level(const struct record_reader *reader, const struct record_writer *writer);

#endif
