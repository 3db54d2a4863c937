/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The people's side of one port: its rings, its backend and its log, from start to end.
 *
 * It must not know the device: what concerns that goes up through guest_port_ops.
 */
#ifndef GUEST_PORT_H
#define GUEST_PORT_H

#include "backends/logfile.h"
#include "backends/output.h"
#include "base/arena.h"
#include "config.h"
#include "loop/loop.h"

/* Input that waits for the guest, in bytes. */
#define GUEST_PORT_INPUT_BYTES (128u * 1024)

/*
 * The largest rest of a chain that a data port can take at once, in bytes, when its queue stops in
 * the middle of one; what is longer is cut off. Linux sends 32 KiB at most.
 */
#define GUEST_PORT_SPILL_BYTES (1024u * 1024)

/* Room for "guest 65534, port " and a name. */
#define GUEST_PORT_NAME_BYTES 96

struct guest_port;

struct guest_port_ops {
	/* There is input, or room for output. */
	void (*pump)(struct guest_port *port);
	/* output.port.cols and rows, or output.port.attended, have changed. */
	void (*resized)(struct guest_port *port);
	void (*attended)(struct guest_port *port);
	/* See backend_device.left. */
	void (*left)(struct guest_port *port);
	/* The whole program should end; see backend_device.quit. */
	void (*quit)(struct guest_port *port, bool failed);
	/* All of it has stopped, and it may be started again. */
	void (*stopped)(struct guest_port *port);
};

struct guest_port {
	const struct guest_port_ops *ops;
	const struct port_config *config; /* NULL: it isn't in use */
	char name[GUEST_PORT_NAME_BYTES];
	struct loop_scope scope;
	struct output output;
	struct byte_ring spill; /* what a data port had to take at once */
	struct backend_device device;
	struct backend *backend;
	struct logfile *log; /* or NULL */
	struct log_limit limit;
	bool stopping;
	bool finishing;

	/* In the arena. */
	struct {
		struct byte_ring_state *states;
		void *output, *input, *spill;
		size_t output_size;
	} memory;
};

/* The room of a port in the arena, in bytes, with so many kept bytes of output. */
size_t guest_port_arena_size(uint64_t history);

/* Takes that room, and the three ring states, which lie in the arena too. Begins unused. */
void guest_port_lay_out(struct guest_port *port, struct arena *arena, uint64_t history,
                        struct byte_ring_state states[3]);

/*
 * Begins to serve people as `config` says, which lives until `stopped`, and whose history is at
 * most what was laid out. `port->name` is there already. The rings begin as they are in the arena,
 * or with `anew` empty. Returns 0, or -errno, having logged the cause, and is unused then.
 */
int guest_port_start(struct guest_port *port, const struct guest_port_ops *ops, struct loop *loop,
                     const struct port_config *config, bool anew);

static inline bool guest_port_in_use(const struct guest_port *port)
{
	return port->config;
}

/* "port NAME" or "port NUMBER": its name in the log without its guest's. */
const char *guest_port_label(const struct guest_port *port);

/*
 * Throws away what its people have sent and wasn't received yet, as far as it is on this machine.
 * Returns how many bytes.
 */
size_t guest_port_drop_input(struct guest_port *port);

/* `dropped` bytes of its input are gone: says so in the log, and to the people of a console. */
void guest_port_tell_dropped(struct guest_port *port, uint64_t dropped);

/* There is output, or room for input. */
void guest_port_wake(struct guest_port *port);

/*
 * Ends it; `stopped` follows. With `finish`, what is left for the clients is written out first;
 * called once more without, it isn't.
 */
void guest_port_stop(struct guest_port *port, bool finish);

/* What concerns the process's terminal, and logs that may have been moved away; see guest.h. */
void guest_port_reopen_log(struct guest_port *port);
void guest_port_resize(struct guest_port *port);
void guest_port_suspend(struct guest_port *port);
void guest_port_resume(struct guest_port *port);

#endif
