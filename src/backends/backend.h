/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The interface between a port of the console device and the people at its other end.
 *
 * Two byte rings lie between the two, and two verbs go across: `pump` tells the device that there
 * is input or room for output, `wake` tells the backend that there is output or room for input.
 * Neither side knows more of the other. This header must not see the loop.
 */
#ifndef BACKENDS_BACKEND_H
#define BACKENDS_BACKEND_H

#include "base/byte_ring.h"

#include <stdbool.h>

struct backend;

/* What a data port does with output that its last client has left. */
enum tail {
	TAIL_DROP, /* nobody else gets it: the next one begins with what the guest writes then */
	TAIL_KEEP, /* it waits for the next one */
};

/* The device's end; embedded in whoever works the port. */
struct backend_device {
	/* The backend has put input into its ring, or can take output again. */
	void (*pump)(struct backend_device *device);
	/* The backend has finished: nothing of it is left but its memory, which is freed now. */
	void (*stopped)(struct backend_device *device);
	/* The size of the window that counts has changed, in the port. */
	void (*resized)(struct backend_device *device);
	/* There are more people or fewer, in the port. */
	void (*attended)(struct backend_device *device);
	/* After `drop_input`: so much more than it has said is thrown away. */
	void (*dropped)(struct backend_device *device, size_t len);
	/*
	 * The last client of a data port has gone and `dropping` is set: to be ended by
	 * backend_port.dropped, when all is written that was meant for it. NULL: that is now.
	 */
	void (*left)(struct backend_device *device);
	/*
	 * The whole program should end: the person said so or its output is closed, or, with
	 * `failed`, the output can't be written, which is logged.
	 */
	void (*quit)(struct backend_device *device, bool failed);
};

/* The two rings of a port and its device. All of it is the device's and outlives the backend. */
struct backend_port {
	struct byte_ring output; /* guest to clients; what is kept of it */
	struct byte_ring input;  /* clients to guest */
	struct backend_device *device;
	/*
	 * Claims room for `wanted` bytes of output, at most the ring's size, in place of its oldest
	 * if need be. Returns how many may be written now, at least so many; or less, and then
	 * `pump` comes as soon as there are so many.
	 */
	size_t (*room)(struct backend_port *port, size_t wanted);
	/* The same without waiting for anybody, but for what is on its way to the system. */
	size_t (*reclaim)(struct backend_port *port);
	const char *name; /* for the log: "guest 0" */
	/* The window that counts, in characters; 0 x 0 while none is known. */
	uint16_t cols, rows;
	unsigned int attended; /* how many people are there */
	/* The backend receives for the input ring, where nobody else puts anything meanwhile. */
	bool receiving;
	/* The device is about to put something there itself: nobody begins to receive now. */
	bool held;
	/*
	 * A data port: nothing of its output is lost, and nothing is put into it. Who reads is
	 * waited for, however long it takes, and what nobody has read waits for who comes next.
	 */
	bool data;
	uint64_t delivered; /* its output before this position has reached somebody */
	enum tail tail;
	/* What is written is for nobody, and nobody is served, until `dropped` is called. */
	bool dropping;
	void (*dropped)(struct backend_port *port);
};

struct backend_ops {
	void (*wake)(struct backend *backend);
	/* Takes no more clients; those that are there are served on. May be NULL. */
	void (*close)(struct backend *backend);
	/*
	 * What people have sent and wasn't received yet was for a guest that is gone: throws it
	 * away, as far as this machine has it. Returns how many bytes that is. May be NULL.
	 */
	size_t (*drop_input)(struct backend *backend);
	/* Ends at once; then `stopped`. */
	void (*stop)(struct backend *backend);
	/* The window of the process's terminal has another size. May be NULL. */
	void (*resize)(struct backend *backend);
	/* The process is about to be suspended, or goes on after that. May be NULL. */
	void (*suspend)(struct backend *backend);
	void (*resume)(struct backend *backend);
};

struct backend {
	const struct backend_ops *ops;
	struct backend_port *port;
};

#endif
