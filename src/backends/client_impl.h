/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * One client, for the files that work it. Nobody else should need this.
 */
#ifndef BACKENDS_CLIENT_IMPL_H
#define BACKENDS_CLIENT_IMPL_H

#include "backends/client.h"
#include "backends/http_guard.h"
#include "backends/stage.h"
#include "backends/telnet_codec.h"
#include "loop/room.h"

#include <errno.h>
#include <sys/socket.h>

#define CLIENT_NAME_BYTES 64
/* A marked line; so long is what it says at most. */
#define CLIENT_LINE_BYTES 128

/* Whether what a client has sent first may reach the guest: see http_guard.h. */
enum client_guard_state {
	CLIENT_GUARD_OFF,   /* all it sends may */
	CLIENT_GUARD_WAITS, /* it has sent nothing yet */
	CLIENT_GUARD_HOLDS, /* what it has sent stays in its socket, as it may become a request */
};

/*
 * Whether somebody is there. A port check connects and goes at once: until a client has typed
 * something or has stayed for CLIENT_STAY_MS, a data port gives it nothing and isn't open for it,
 * and on a port for one client others wait until that is known.
 */
enum client_presence {
	CLIENT_CALLS,
	CLIENT_STAYS,
};

struct client_guard {
	enum client_guard_state state;
	enum http_verdict verdict; /* while it holds: the last one, */
	size_t held;               /* of so many bytes */
	uint64_t since_ms;         /* loop time at which the last of them came */
	struct loop_timer quiet;
};

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
	struct client_guard guard;
	enum client_presence presence;
	struct loop_timer stay; /* looks whether it stays, or has what it was sent on trial */
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

	struct strays_room *strays; /* for the receive, or NULL */

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

/* Whether what it types reaches the guest: it may write, or takes the place of the one that may. */
bool client_may_type(const struct client *client);

/* It has typed something, which the guest gets: the place is its own, if it may type. */
void client_take_over(struct client *client);

/* It is known to be there. */
void client_stay(struct client *client);

/* It is sent something on trial, or may be: looks a little later what has become of it. */
void client_stay_later(struct client *client);

/* It sends no more, and on TCP it may be gone. */
void client_doubt(struct client *client);

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

/* client_guard.c */

void client_guard_init(struct client *client);

/*
 * There may be input: whether it may be received. If not, the client has been closed, or it waits
 * for more of its input or for that to be all.
 */
bool client_guard_lets_pass(struct client *client);

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
