/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A pseudo terminal of ours, and the link by which people find it.
 *
 * Its slave is for them. We never keep it open: then the master hangs up whenever they are all
 * gone, and it is they alone who use it. Between two of them it is raw, empty and free to be
 * opened, whatever the one before has done to it.
 */
#ifndef BACKENDS_PTY_DEVICE_H
#define BACKENDS_PTY_DEVICE_H

#include "base/list.h"
#include "base/path.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define PTY_SLAVE_BYTES 32

struct pty_device {
	struct list in_devices; /* with all others of the process */
	int master;             /* in packet mode, non-blocking */
	char slave[PTY_SLAVE_BYTES];
	const char *link_name; /* for messages */
	struct path link;
	mode_t mode;
	gid_t group;
};

/*
 * Makes one, its slave with file mode `mode` and group `group` ((gid_t)-1: the process's), and the
 * link, whose text has to live as long. Returns 0 or -errno, having logged the cause.
 *
 * A link that is there is replaced only if it is what a run that was killed has left behind: a
 * symbolic link to a pseudo terminal that is gone, or that was made after the link and so isn't
 * the one that was meant: the system uses their numbers again. Everything else stays, and is an
 * error: a file, a link to anything else, a link to a terminal that was there before the link.
 */
int pty_device_open(struct pty_device *device, const char *link, mode_t mode, gid_t group);

/* Removes the link too, if it still leads to this terminal. */
void pty_device_close(struct pty_device *device);

/* Removes the links of all that the process has, when it can't end in order. */
void pty_device_remove_links(void);

/* Whether anybody has the slave open. */
bool pty_device_is_open(const struct pty_device *device);

/* What was written and not read by anybody is dropped, and the slave is raw again. */
void pty_device_reset(const struct pty_device *device);

/* A program may have kept the terminal for itself (TIOCEXCL), which the kernel keeps up after it.
 * Takes that back. Returns 0; -EBUSY if only a new terminal helps; or -errno. */
int pty_device_unlock(const struct pty_device *device);

/*
 * A new terminal in the place of the old one, while nobody has it open and nothing of the master is
 * in flight, with the same window. The link follows, unless it isn't ours any more. Returns 0 or
 * -errno.
 */
int pty_device_renew(struct pty_device *device);

/* Throws away what was typed and not read. Returns how many bytes, at least. */
size_t pty_device_drop_input(const struct pty_device *device);

/* What was written and isn't read yet is dropped, while somebody has it open. */
void pty_device_drop_output(const struct pty_device *device);

/* What the master has to say of the slave, if anything: bits of TIOCPKT, else 0. It is said once.
 */
uint8_t pty_device_take_status(const struct pty_device *device);

/* The window's size in characters, as somebody has set it; 0 x 0 if nobody has. */
void pty_device_get_window(const struct pty_device *device, uint16_t *ret_cols, uint16_t *ret_rows);

#endif
