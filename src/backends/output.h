/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A port's output ring and its readers: clients, a terminal, a log.
 *
 * Each reader has a place of its own in the ring. What happens when the ring is full is decided
 * here and nowhere else: a reader that makes progress holds the guest up, so that it loses
 * nothing; one that can't be sent anything and takes nothing for OUTPUT_PATIENCE_MS lags, and
 * doesn't hold the guest up again until it has caught up, or has taken as much as the ring holds
 * without stopping for so long again; with no reader, or lagging ones only, the oldest bytes go. A
 * reader that has just come holds the guest up as others do, at most once for that long.
 *
 * A data port has no such rules: those of its readers that are patient hold the guest up however
 * long it takes, and as long as there is none, what wasn't delivered stays. There is no history.
 */
#ifndef BACKENDS_OUTPUT_H
#define BACKENDS_OUTPUT_H

#include "backends/backend.h"
#include "backends/replay.h"
#include "base/list.h"
#include "loop/loop.h"

/* How long a reader that can't be sent anything holds the guest up. */
#define OUTPUT_PATIENCE_MS 10
/* How long one without progress, and how long all together, hold up the end, where there is time.
 */
#define OUTPUT_FINISH_MS       1000
#define OUTPUT_FINISH_TOTAL_MS 10000

struct output {
	struct backend_port port;
	struct list readers;
	struct loop_timer patience;
	struct loop_task judge;
	size_t wanted;          /* the room that the device waits for; 0: it doesn't wait */
	uint64_t waiting_since; /* loop time */
	uint64_t finishing_since;
	void (*finished)(struct output *output); /* set while finishing */
};

struct reader {
	struct list link;
	struct output *output;
	uint64_t pos;          /* of the next byte to read, never behind what is kept */
	uint64_t missed;       /* bytes before that which were gone, and it wasn't told yet */
	uint64_t sending_from; /* while `sending`: bytes from here on must stay where they are */
	uint64_t begins_by;    /* until it takes something: where it came, on a data port */
	uint64_t progress_ms;  /* loop time of the last progress */
	uint64_t in_a_row;     /* bytes that it has taken since it last stopped for long */
	size_t buffered;       /* bytes that it has taken and not delivered yet */
	bool sending;
	bool terminal;        /* see reader_make_terminal() */
	bool cut;             /* what was before its place is missing, as far as `missed` says */
	struct replay replay; /* of a terminal */
	bool blocked;         /* it waits until it can send */
	bool lagging;
	/* It may be gone: what it is sent counts as delivered only by reader_delivered(). */
	bool on_trial;
	bool patient;    /* it never lags: the guest waits for it however long it takes */
	bool quiet;      /* no person: it isn't told what becomes of input */
	uint64_t unread; /* bytes of input that were dropped, and it wasn't told yet */
	void (*wake)(struct reader *reader);
	/*
	 * How many bytes the system still has for it, or NULL if that can't be told: while it is
	 * blocked, fewer of them are progress, too.
	 */
	uint64_t (*queued)(struct reader *reader);
	uint64_t queued_before; /* when it was asked last */
};

/*
 * The rings and the device of output->port are there already, and whether it is a data port; its
 * `room` and `reclaim` are set here.
 */
void output_init(struct output *output, struct loop_scope *scope);

/* The output of a port, for those who are given only that. */
struct output *output_of(struct backend_port *port);

/*
 * The last client of a data port has gone: what the guest has written for it is for nobody else, if
 * the port's tail is to be dropped. Until the device says that it is over by backend_port.dropped,
 * the guest isn't held up and no reader may be made patient.
 */
void output_drop_tail(struct output *output);

/* Wakes the readers that have something to read. */
void output_wake(struct output *output);

/*
 * Calls `finished`, once and never before this returns, when every reader is at the end, or has
 * made no progress for OUTPUT_FINISH_MS, or after OUTPUT_FINISH_TOTAL_MS.
 */
void output_finish(struct output *output, void (*finished)(struct output *output));

/* Takes that back. False if nothing is being finished. */
bool output_cancel_finish(struct output *output);

/*
 * A reader of everything since the port's beginning: it is sent what is kept, and told of the rest
 * as of any other gap.
 */
void reader_init(struct reader *reader, struct output *output, void (*wake)(struct reader *reader));
void reader_deinit(struct reader *reader);

/*
 * The guest waits for it from now on, however long it takes. On a data port it begins with what
 * nobody has got yet.
 */
void reader_make_patient(struct reader *reader);

/*
 * Its bytes go to a terminal, which came when the output was at position `came_at`. It begins, and
 * after a gap goes on, where a terminal can, and what was there before it came asks it nothing
 * (backends/replay.h); what comes later is left as it is. Not for a data port, whose bytes are the
 * guest's alone, nor for a log.
 */
void reader_make_terminal(struct reader *reader, uint64_t came_at);

/* It won't read any more, though what it was sending may still be on its way. */
void reader_abandon(struct reader *reader);

/* The line that tells a reader of `gap` missing bytes. Returns its length. */
#define READER_GAP_LINE_MAX 96
size_t reader_gap_line(char line[READER_GAP_LINE_MAX], uint64_t gap);

/*
 * So many bytes of input were dropped, unread by the guest: every reader that isn't quiet is told
 * in a line, but on a data port.
 */
void output_tell_unread(struct output *output, uint64_t len);

/*
 * Writes that line for a reader that has to be told, who counts as told then. Returns its length, 0
 * if there is nothing to tell.
 */
#define READER_UNREAD_LINE_MAX 128
size_t reader_take_unread_line(struct reader *reader, char line[READER_UNREAD_LINE_MAX]);

/* Whether the reader has missed bytes before its place and hasn't been told. */
bool reader_has_gap(struct reader *reader);

/* How many; it counts as told now. */
uint64_t reader_take_gap(struct reader *reader);

/* How many bytes there are to read. */
uint64_t reader_pending(const struct reader *reader);

/* Whether there is anything to tell: bytes, or that some are missing. */
bool reader_has_news(const struct reader *reader);

/*
 * Has `flush` run, which sends what there is: soon, so that small pieces are gathered, or with
 * OUTPUT_GATHER_BYTES and more at the end of this turn.
 */
#define OUTPUT_GATHER_BYTES (16u * 1024)
void reader_flush(struct reader *reader, struct loop_task *flush);

/*
 * Up to `len` of the bytes to read next, in one or two pieces. Returns the number of pieces; 0 if
 * there are none or, of a terminal's, none of those looked at are for it: then it has passed them,
 * and is woken if there are more.
 */
unsigned int reader_spans(struct reader *reader, size_t len, struct iovec ret_spans[2]);

/* The bytes of reader_spans() are on their way, and stay where they are until reader_sent(). */
void reader_sending(struct reader *reader);
void reader_sent(struct reader *reader, size_t len);

/* The reader has copied the next `len` bytes into a buffer of its own. */
void reader_taken(struct reader *reader, size_t len);

/* All or, without `all`, some of what is in its buffer has been delivered. */
void reader_delivered(struct reader *reader, bool all);

/* Whether the reader waits until it can send. */
void reader_set_blocked(struct reader *reader, bool blocked);

#endif
