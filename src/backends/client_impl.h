/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * One client, for the three files that work it. Nobody else should need this.
 */
#ifndef BACKENDS_CLIENT_IMPL_H
#define BACKENDS_CLIENT_IMPL_H

#include "backends/client.h"
#include "backends/stage.h"
#include "backends/telnet_codec.h"
#include "loop/room.h"

#include <errno.h>
#include <sys/socket.h>

#define CLIENT_NAME_BYTES 64
/* A marked line; so long is what it says at most. */
#define CLIENT_LINE_BYTES 128

struct client {
	struct list link;
	struct client_set *set;
	struct reader reader;
	struct loop_scope scope;
	struct loop_op input; /* waits for input, while there is room for it */
	struct loop_op receive;
	struct loop_room room;
	struct loop_op send;
	struct loop_task flush;
	struct loop_timer leave; /* how long it may take to tell it that it has to go */
	int fd;
	uint64_t number;  /* the set's count of clients when it came */
	bool readable;    /* there may be input */
	bool discarding;  /* what is being received is thrown away */
	bool half_closed; /* it sends no more */
	bool hung_up;     /* neither way works any more, but input may be left */
	bool leaving;     /* it is told that it has to go, and that is all it is sent */
	bool told;        /* that it only watches */
	bool stale_now;   /* what is being received was for a guest that is gone, */
	size_t stale;     /* and so are so many bytes that come next */
	char name[CLIENT_NAME_BYTES];

	struct window window;
	struct telnet_codec_user telnet_user;
	struct telnet_codec *telnet; /* NULL: raw */

	const char *notice;  /* what is to be told in a marked line, or NULL */
	struct stage *stage; /* telnet's, or `lines` */
	struct stage lines;  /* the marked lines of a raw one */
	uint8_t line_bytes[READER_GAP_LINE_MAX + READER_UNREAD_LINE_MAX + CLIENT_LINE_BYTES];
	struct msghdr msg;
	struct iovec iov[3]; /* the stage, then one or two pieces of the ring */
	uint8_t to_decode[]; /* CLIENT_RECEIVE_BYTES with telnet, else none */
};

/* client.c */

static inline bool client_is_closing(const struct client *client)
{
	return client->scope.closing;
}

bool client_may_write(const struct client *client);

/* Ends it at once. `why`, or NULL, is for the log. */
void client_close(struct client *client, const char *why);

/*
 * Ends it after it has been told why, in a marked line behind what is on its way already; with one
 * that doesn't take that, or doesn't close its side then, not for long. `why` lives for ever.
 */
void client_leave(struct client *client, const char *why);

/* It isn't the one that may write any more: the next one is, if there is one. */
void client_give_up_writing(struct client *client);

/* Looks at the clients that aren't waited for, or that wait, a little later. */
void client_set_look_later(struct client_set *set);

/* Somebody may have come, or be there no more. */
void client_set_tell_attended(struct client_set *set);

/* client_output.c */

void client_output_init(struct client *client);

/*
 * Writes the line that says `text` to a client, among its output. Returns its length: 0 on a data
 * port, whose bytes are the guest's alone.
 */
size_t client_mark(const struct client_set *set, char line[CLIENT_LINE_BYTES], const char *text);

/*
 * Says `text`, which lives for ever, in a marked line, as soon as what is on its way has been sent.
 * It takes the place of what hasn't been said yet.
 */
void client_tell(struct client *client, const char *text);

/* Whether its socket takes no output. */
static inline bool client_waits_for_room(const struct client *client)
{
	return loop_room_awaited(&client->room);
}

/* There may be something to send, or nothing left for a client that has to go. */
void client_wake(struct client *client);

/* Its output ends here, but for what it is told. */
void client_end_output(struct client *client);

/* client_input.c */

void client_input_init(struct client *client);

/*
 * What it has sent so far was for a guest that is gone. Returns how many bytes of it will be thrown
 * away; of what is just being received, backend_device.dropped tells later.
 */
size_t client_drop_input(struct client *client);

/* Goes on with its input, in whatever way is its turn. */
void client_go_on_receiving(struct client *client);

#endif
