/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The virtio-console device (virtio 1.3, 5.3): its features, its configuration space, its ports,
 * and which virtqueue belongs to which. It must not see the loop or a socket.
 */
#ifndef CONSOLE_CONSOLE_H
#define CONSOLE_CONSOLE_H

#include "base/endian.h"
#include "console/handshake.h"
#include "console/port.h"
#include "console/state.h"

#include <stdint.h>

/* The device's configuration space (virtio 1.3, 5.3.4). */
struct console_config {
	le16 cols;
	le16 rows;
	le32 max_nr_ports;
	le32 emerg_wr;
};
_Static_assert(sizeof(struct console_config) == 12, "virtio 1.3, 5.3.4");

/* The most ports, for which there are 64 virtqueues: the number that a person can see. */
#define CONSOLE_PORTS_MAX 31u

/* The virtqueues of the control messages (virtio 1.3, 5.3.2). */
#define CONSOLE_CONTROL_RECEIVEQ  2u
#define CONSOLE_CONTROL_TRANSMITQ 3u

/* Every driver has some of the first virtqueues: those, and those of one port. */
#define CONSOLE_FIRST_VRINGS 4u

/*
 * The virtqueues of a device of so many ports: two each, and two for control. Never less than 4:
 * QEMU's generic device is commonly told num_vqs=4, which must not be more than there are.
 */
#define CONSOLE_VRINGS(ports) (2 * (ports) + 2)

/*
 * How many descriptors of control messages one call of a pump looks at before it leaves off; each
 * message counts as some more.
 */
#define CONSOLE_BUDGET_DESCS     4096u
#define CONSOLE_MESSAGE_IS_DESCS 16u

/* The device's own features (virtio 1.3, 5.3.3), all of which need the configuration space. */
#define VIRTIO_CONSOLE_F_SIZE        0
#define VIRTIO_CONSOLE_F_MULTIPORT   1
#define VIRTIO_CONSOLE_F_EMERG_WRITE 2
#define CONSOLE_CONFIG_FEATURES                                                                    \
	(1ull << VIRTIO_CONSOLE_F_SIZE | 1ull << VIRTIO_CONSOLE_F_MULTIPORT |                      \
	 1ull << VIRTIO_CONSOLE_F_EMERG_WRITE)

/* The features that are offered: those, and those of the ring that virtq understands. */
#define CONSOLE_FEATURES                                                                           \
	(CONSOLE_CONFIG_FEATURES | 1ull << 28 /* VIRTIO_F_INDIRECT_DESC */ |                       \
	 1ull << 29 /* VIRTIO_F_EVENT_IDX */ | 1ull << 32 /* VIRTIO_F_VERSION_1 */ |               \
	 1ull << 35 /* VIRTIO_F_IN_ORDER */)

/* What outlives the process. Zero is the state before a frontend's first message. */
struct console_record {
	bool driver_ready; /* the driver has asked for the ports, or has some */
	bool driver_rests; /* it had some, and may come back to them */
	bool driven;       /* a driver has started a virtqueue since the device began anew */
	bool unsure;       /* a virtqueue runs, and it isn't known yet whose: no input is given */
	bool lone;         /* the driver has no MULTIPORT, and this port alone: */
	uint8_t lone_port;
	uint8_t stopped; /* of the first virtqueues, those that have stopped: a bit each */
	uint16_t stopped_at[CONSOLE_FIRST_VRINGS]; /* and there */
	uint32_t vrings_named; /* by the frontend, before the driver started; 0: it doesn't tell */
	struct handshake_state ports[CONSOLE_PORTS_MAX];
	/* Each port's input before this position came for the driver that has stopped. */
	uint64_t typed[CONSOLE_PORTS_MAX];
};

struct console_port {
	struct port port;
	struct handshake handshake;
	uint64_t saved; /* its input before this position is in the state that was saved last */
};

struct console {
	struct console_config config;
	struct console_config seen; /* as the frontend has last read or written it */
	bool was_read;              /* it has read any of it */
	struct console_record *record;
	struct virtq *vrings;
	struct console_port *ports; /* max_ports of them */
	unsigned int max_ports;
	bool rows_first; /* what drivers take a RESIZE for */
	bool multiport;  /* the driver has taken VIRTIO_CONSOLE_F_MULTIPORT */
	bool sized;      /* and VIRTIO_CONSOLE_F_SIZE */
};

/*
 * Begins with a zeroed record, and without ports. `vrings` are CONSOLE_VRINGS(max_ports)
 * virtqueues and `ports` so many zeroed ports of the owner's.
 */
void console_init(struct console *console, struct console_record *record, struct virtq *vrings,
                  struct console_port *ports, unsigned int max_ports);

/*
 * There is a port now of number `id`, one that wasn't: a console or, with `spill`, a data port. All
 * that is given lives until console_unplug(). The driver is told, if it has taken MULTIPORT, once
 * it is ready.
 */
void console_plug(struct console *console, unsigned int id, struct backend_port *people,
                  struct byte_ring *spill, const char *name);

/* The port has gone; a chain taken in part is finished. What the driver still sends is swallowed.
 */
struct port_outcome console_unplug(struct console *console, unsigned int id);

/*
 * The port that a driver without MULTIPORT has, and whose window's size is in configuration space:
 * the first that is a console, or port 0 if there is none. As long as such a driver is at work it
 * stays the same one.
 */
unsigned int console_main_port(const struct console *console);

/*
 * The number of the port that a virtqueue belongs to; CONSOLE_PORTS_MAX if it is none's. To a
 * driver without MULTIPORT, virtqueues 0 and 1 are the main port's.
 */
unsigned int console_port_of(const struct console *console, unsigned int vring);

/* A port's transmitq, and its receiveq. */
unsigned int console_transmitq_of(const struct console *console, unsigned int id);
unsigned int console_receiveq_of(const struct console *console, unsigned int id);

/*
 * Before any driver, the frontend has named a virtqueue: from its number follows how many there
 * are at most, and so how many ports the driver may be told of (QEMU's generic device; others
 * name none so early).
 */
void console_name_vring(struct console *console, unsigned int vring);

/* How many ports the driver is told of at most. */
unsigned int console_ports_reach(const struct console *console);

/* The device begins anew, for the same frontend: no driver knows anything. */
void console_reset(struct console *console);

/*
 * What a driver knows and has to be told, and the ports with their bytes, which stay where they
 * are: in the rings. Whoever has copied them asks whether the rings have held all of it until then.
 */
void console_save(struct console *console, struct state *ret);
bool console_holds_saved(const struct console *console, const struct state *saved);

/*
 * A state that is being loaded: it was parsed, and its bytes live until the end. Output, of which
 * there may be much, is copied in pieces first, to where nobody sees it; then all else is done at
 * once. Meanwhile no vring may run, and what is printed otherwise makes the loading fail.
 */
struct console_loading {
	const struct state *state;
	unsigned int next; /* port of the state whose output is copied */
	size_t done;       /* of it */
	struct {
		uint64_t head; /* of the output ring, where the port's output goes */
		size_t first;  /* byte of the output that is kept */
		size_t count;  /* bytes from there on that the ring takes */
	} ports[STATE_PORTS_MAX];
};

/*
 * Makes a console of the same ports go on with a state. begin says why it doesn't fit, or NULL;
 * then more is called until it returns false: each call copies at most `most` bytes of output and
 * says in *ret_used where the bytes of the state lie that aren't needed any more. end says why the
 * state has come to nothing after all, or NULL: it is loaded. If it isn't, nothing has changed but
 * that some of the oldest output may have gone. The input in the state comes before what is here
 * already; what had been typed for a driver that has worked here is dropped, and so is all of it if
 * there is no room for both: *ret_dropped, of max_ports, says how many bytes of each port were.
 */
const char *console_load_begin(struct console *console, struct console_loading *loading,
                               const struct state *state);
bool console_load_more(struct console *console, struct console_loading *loading, size_t most,
                       struct iovec *ret_used);
const char *console_load_end(struct console *console, const struct console_loading *loading,
                             size_t *ret_dropped);

/* The frontend has gone. */
void console_forget_frontend(struct console *console);

/*
 * Reads `len` bytes at `offset`. What is behind the end reads as zero: frontends ask for as many
 * bytes as they were told to show their guest.
 */
void console_read_config(struct console *console, uint32_t offset, void *ret_bytes, uint32_t len);

/*
 * A driver writes `len` bytes at `offset`. Only emerg_wr means anything: a write that covers its
 * first byte puts that on the output of the main port (virtio 1.3, 5.3.4), at any time, and true is
 * returned then. A frontend that knows only the whole space (QEMU's generic device) writes all of
 * it for each byte, with an old emerg_wr in it: where another field has changed, that was what the
 * driver wrote, and emerg_wr is nothing new.
 */
bool console_write_config(struct console *console, uint32_t offset, const uint8_t *bytes,
                          uint32_t len);

/*
 * The size of the window that counts at a port, in characters; 0 x 0 if none is known. In
 * configuration space it is that of the main port.
 */
void console_set_size(struct console *console, unsigned int id, uint16_t cols, uint16_t rows);

/* How many people are at the port has changed. */
void console_attend(struct console *console, unsigned int id);

/* Whose the virtqueues are that have started. */
enum console_whose {
	CONSOLE_DRIVER_SAME,   /* the one's that had stopped, or the first one's */
	CONSOLE_DRIVER_UNSURE, /* that can't be told yet: input waits until it can */
	CONSOLE_DRIVER_OTHER,  /* the one before is gone */
};

/*
 * The last client of a data port has gone, after console_attend(), and what the guest has written
 * for it is dropped: until the guest has been told, if there is somebody to tell.
 */
struct port_outcome console_leave(struct console *console, unsigned int id);

/*
 * Virtqueue `vring` is started, by a driver that has taken these features. A driver whose
 * virtqueues don't go on where they stopped is another one, and knows nothing: frontends stop the
 * virtqueues in the same way when a machine is paused and when its driver lets the device go. A
 * virtqueue that starts at 0 where it stopped at 0 doesn't tell.
 */
enum console_whose console_run(struct console *console, unsigned int vring, uint64_t features);

/* Which input of a port. */
enum console_input {
	CONSOLE_INPUT_STOPPED, /* what came before its driver stopped last */
	CONSOLE_INPUT_SAVED,   /* what is in the state that was saved last */
	CONSOLE_INPUT_ALL,
};

/* Drops it: nobody is there any more whom it was for. Returns how many bytes. */
size_t console_drop_input(struct console *console, unsigned int id, enum console_input which);

/* Pumps virtqueue `vring`, which is started and whole. */
struct port_outcome console_pump(struct console *console, unsigned int vring);

/*
 * Virtqueue `vring`, which a pump has left empty, isn't looked at any more: asks for a kick. True
 * if it isn't empty any more, which may come without one: it is to be pumped.
 */
bool console_rest(struct console *console, unsigned int vring);

/* Virtqueue `vring` is about to stop or to move: nothing of it may stay taken in part. */
struct port_outcome console_settle(struct console *console, unsigned int vring);

/* Virtqueue `vring`, which has settled, stops: console_run() judges by that whether the same driver
 * starts it again. */
void console_note_stop(struct console *console, unsigned int vring);

#endif
