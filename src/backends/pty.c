/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "backends/pty.h"

#include "backends/pty_device.h"
#include "backends/stage.h"
#include "backends/window.h"
#include "base/log.h"
#include "base/macros.h"
#include "loop/file_watch.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

/* About what the kernel takes at once; more would only be stale later. */
#define OUTPUT_BYTES 4096u
#define INPUT_BYTES  4096u

struct pty {
	struct backend backend;
	struct loop_scope scope;
	struct pty_device device;
	struct file_watch watch;
	struct loop_op hangup; /* waits for it, while somebody is there */
	struct loop_op readable, read;
	struct loop_op writable, write;
	struct loop_timer settling;
	struct loop_task flush;
	uint64_t since;     /* when somebody came */
	uint64_t came_at;   /* and where the output was then */
	bool joined;        /* somebody is sent output: the reader is there */
	bool begin_again;   /* when the write in flight is done */
	bool drained;       /* nobody has it open, and all that they typed is read */
	bool to_be_checked; /* whether it can be opened, when it is drained */
	struct reader reader;
	struct stage stage;
	struct window_set windows;
	struct window window;
	uint8_t in[1 + INPUT_BYTES]; /* TIOCPKT puts a byte of its own in front */
	uint8_t out[OUTPUT_BYTES];
};

static struct pty *pty_of(struct backend *backend)
{
	return container_of(backend, struct pty, backend);
}

static bool is_closing(const struct pty *pty)
{
	return pty->scope.closing;
}

/* Whether somebody has it open. */
static bool is_attended(const struct pty *pty)
{
	return pty->backend.port->attended > 0;
}

/* Output. */

static void wake_pty(struct reader *reader)
{
	struct pty *pty = container_of(reader, struct pty, reader);

	if (!is_closing(pty) && !pty->write.armed && !pty->writable.armed)
		reader_flush(&pty->reader, &pty->flush);
}

static bool is_beginning(const struct pty *pty)
{
	return loop_now_ms(pty->scope.loop) - pty->since < PTY_BEGINNING_MS;
}

static void leave_output(struct pty *pty)
{
	if (pty->joined)
		reader_deinit(&pty->reader);
	pty->joined = false;
	loop_task_cancel(&pty->flush);
}

/* From the oldest byte that is kept. */
static void begin_output(struct pty *pty)
{
	pty->begin_again = pty->write.armed;
	if (pty->begin_again)
		return;
	/* Some may have been on its way while it was flushed. */
	if (pty->joined)
		pty_device_drop_output(&pty->device);
	leave_output(pty);
	pty_device_take_status(&pty->device);
	reader_init(&pty->reader, output_of(pty->backend.port), wake_pty);
	if (pty->backend.port->data)
		reader_make_patient(&pty->reader);
	reader_make_terminal(&pty->reader, pty->came_at);
	stage_init(&pty->stage, &pty->reader, pty->out, sizeof(pty->out));
	pty->joined = true;
	wake_pty(&pty->reader);
}

/*
 * A program that has opened the line sets it up and flushes it, and so loses what we had written
 * already. So late in the session that wouldn't be what it wants any more.
 */
static void take_status(struct pty *pty, uint8_t status)
{
	if ((status & TIOCPKT_FLUSHREAD) && pty->joined && is_beginning(pty))
		begin_output(pty);
}

static void on_settled(struct loop_op *op, int32_t res)
{
	struct pty *pty = container_of(op, struct pty, settling.op);
	uint64_t passed = loop_now_ms(pty->scope.loop) - pty->since;

	(void)res;
	if (is_closing(pty) || !is_attended(pty) || pty->joined)
		return;
	/* It may still be the one of somebody who has gone. */
	if (passed < PTY_SETTLING_MS)
		loop_timer_arm(&pty->settling, PTY_SETTLING_MS - passed);
	else
		begin_output(pty);
}

static void on_flush(struct loop_task *task)
{
	struct pty *pty = container_of(task, struct pty, flush);
	void *bytes;
	size_t len;

	/* A flush makes room: what goes on then must not come before the beginning. */
	if (is_beginning(pty))
		take_status(pty, pty_device_take_status(&pty->device));
	loop_task_cancel(&pty->flush); /* if that has asked for another */
	stage_fill(&pty->stage);
	len = stage_rest(&pty->stage, &bytes);
	if (len == 0)
		return;
	loop_arm_write(&pty->write, pty->device.master, bytes, len);
	reader_set_blocked(&pty->reader, true);
}

static void go_on_writing(struct pty *pty, int32_t res)
{
	reader_set_blocked(&pty->reader, res == -EAGAIN);
	stage_delivered(&pty->stage, (size_t)MAX(res, 0));
	if (res == -EAGAIN)
		loop_arm_poll(&pty->writable, pty->device.master, POLLOUT);
	else if (res == -ENOMEM)
		loop_arm_again(&pty->write);
	else if (stage_pending(&pty->stage))
		wake_pty(&pty->reader);
}

static void on_writable(struct loop_op *op, int32_t res)
{
	struct pty *pty = container_of(op, struct pty, writable);

	(void)res; /* a hangup is told to another */
	if (is_closing(pty) || !pty->joined)
		return;
	reader_set_blocked(&pty->reader, false);
	wake_pty(&pty->reader);
}

/* The window. */

/* Nothing tells of it, so it is looked at whenever something else happens. */
static void look_at_window(struct pty *pty)
{
	uint16_t cols, rows;

	pty_device_get_window(&pty->device, &cols, &rows);
	if (cols != pty->window.cols || rows != pty->window.rows)
		window_resize(&pty->windows, &pty->window, cols, rows);
}

/* People. */

static void set_attended(struct pty *pty, bool attended)
{
	struct backend_port *port = pty->backend.port;

	port->attended = attended;
	port->device->attended(port->device);
}

static void somebody_comes(struct pty *pty)
{
	set_attended(pty, true);
	pty->to_be_checked = true;
	pty->since = loop_now_ms(pty->scope.loop);
	pty->came_at = byte_ring_head(&pty->backend.port->output);
	log_debug("%s: %s has been opened", pty->backend.port->name, pty->device.link_name);
	if (!pty->hangup.armed)
		loop_arm_poll(&pty->hangup, pty->device.master, 0);
	/* Programs flush a line when they open it: what was written by then would be lost. */
	if (!pty->settling.op.armed)
		loop_timer_arm(&pty->settling, PTY_SETTLING_MS);
}

static void everybody_has_gone(struct pty *pty)
{
	set_attended(pty, false);
	pty->begin_again = false;
	log_debug("%s: %s has been closed", pty->backend.port->name, pty->device.link_name);
	leave_output(pty);
	/* Else when that is done. */
	if (!pty->write.armed)
		pty_device_reset(&pty->device);
}

static void look_who_is_there(struct pty *pty)
{
	bool open = pty_device_is_open(&pty->device);

	if (open && !is_attended(pty))
		somebody_comes(pty);
	else if (!open && is_attended(pty))
		everybody_has_gone(pty);
}

static void arm_input(struct pty *pty)
{
	if (byte_ring_free(&pty->backend.port->input) > 0 && !pty->backend.port->held &&
	    !pty->drained && !is_closing(pty) && !pty->readable.armed && !pty->read.armed)
		loop_arm_poll(&pty->readable, pty->device.master, POLLIN);
}

/* Whoever it was that opened it may have written something and be gone already. */
static void look_at_all(struct pty *pty)
{
	pty->drained = false;
	look_who_is_there(pty);
	arm_input(pty);
}

/* The one who has gone may have kept it for itself: the next one must be able to open it. */
static void check_if_left(struct pty *pty)
{
	int r;

	if (!pty->to_be_checked || is_attended(pty) || !pty->drained || pty->hangup.armed ||
	    pty->readable.armed || pty->read.armed || pty->writable.armed || pty->write.armed)
		return;
	pty->to_be_checked = false;
	r = pty_device_unlock(&pty->device);
	if (r != -EBUSY)
		return;
	r = pty_device_renew(&pty->device);
	if (r == 0)
		r = file_watch_move(&pty->watch, pty->device.slave);
	if (r < 0)
		log_warning("%s: %s: can't be opened again: %s", pty->backend.port->name,
		            pty->device.link_name, strerror(-r));
	/* The link was there before the watch. */
	look_at_all(pty);
}

static void on_hangup(struct loop_op *op, int32_t res)
{
	struct pty *pty = container_of(op, struct pty, hangup);

	(void)res;
	if (is_closing(pty))
		return;
	look_who_is_there(pty);
	/* Somebody who came after the hangup has it armed already. */
	if (is_attended(pty) && !pty->hangup.armed)
		loop_arm_poll(&pty->hangup, pty->device.master, 0);
	check_if_left(pty);
}

static void on_written(struct loop_op *op, int32_t res)
{
	struct pty *pty = container_of(op, struct pty, write);

	if (is_closing(pty))
		return;
	if (!is_attended(pty))
		pty_device_reset(&pty->device);
	else if (pty->begin_again)
		begin_output(pty);
	else if (pty->joined)
		go_on_writing(pty, res);
	check_if_left(pty);
}

/* Input. */

static void on_readable(struct loop_op *op, int32_t res)
{
	struct pty *pty = container_of(op, struct pty, readable);
	size_t room = byte_ring_free(&pty->backend.port->input);

	(void)res; /* the read tells what is there */
	if (is_closing(pty))
		return;
	pty->backend.port->receiving = true;
	loop_arm_read(&pty->read, pty->device.master, pty->in, 1 + MIN(room, INPUT_BYTES));
}

static void take(struct pty *pty, size_t len)
{
	struct backend_port *port = pty->backend.port;

	if (pty->in[0] != TIOCPKT_DATA) {
		take_status(pty, pty->in[0]);
		return;
	}
	byte_ring_put(&port->input, pty->in + 1, len - 1);
	look_at_window(pty);
	port->device->pump(port->device);
}

/* Nothing more to read: nobody is there, and an opening of the slave will tell. */
static void end_input(struct pty *pty)
{
	pty->drained = true;
	look_who_is_there(pty);
	/* Somebody came in between. */
	if (is_attended(pty))
		pty->drained = false;
}

static void on_read(struct loop_op *op, int32_t res)
{
	struct pty *pty = container_of(op, struct pty, read);

	if (res == -ENOMEM && !is_closing(pty)) {
		loop_arm_again(op);
		return;
	}
	pty->backend.port->receiving = false;
	if (is_closing(pty))
		return;
	if (res > 0)
		take(pty, (size_t)res);
	else if (res != -EAGAIN && res != -EINTR)
		end_input(pty);
	arm_input(pty);
	check_if_left(pty);
}

static void on_changed(struct file_watch *watch)
{
	struct pty *pty = container_of(watch, struct pty, watch);

	look_at_all(pty);
	look_at_window(pty);
}

/* The interface. */

static void pty_wake(struct backend *backend)
{
	arm_input(pty_of(backend));
}

static size_t pty_drop_input(struct backend *backend)
{
	return pty_device_drop_input(&pty_of(backend)->device);
}

static void free_pty(struct pty *pty)
{
	file_watch_deinit(&pty->watch);
	pty_device_close(&pty->device);
	free(pty);
}

static void on_drained(struct loop_scope *scope)
{
	struct pty *pty = container_of(scope, struct pty, scope);
	struct backend_device *device = pty->backend.port->device;

	leave_output(pty);
	free_pty(pty);
	device->stopped(device);
}

static void pty_stop(struct backend *backend)
{
	loop_task_cancel(&pty_of(backend)->flush);
	loop_scope_close(&pty_of(backend)->scope);
}

static const struct backend_ops pty_ops = {
    .wake = pty_wake,
    .drop_input = pty_drop_input,
    .stop = pty_stop,
};

static void init_ops(struct pty *pty, struct loop *loop, struct backend_port *port)
{
	pty->backend = (struct backend){.ops = &pty_ops, .port = port};
	pty->drained = true;
	loop_scope_init(&pty->scope, loop, on_drained);
	loop_op_init(&pty->hangup, &pty->scope, on_hangup);
	loop_op_init(&pty->readable, &pty->scope, on_readable);
	loop_op_init(&pty->read, &pty->scope, on_read);
	loop_op_init(&pty->writable, &pty->scope, on_writable);
	loop_op_init(&pty->write, &pty->scope, on_written);
	loop_timer_init(&pty->settling, &pty->scope, on_settled);
	loop_task_init(&pty->flush, on_flush);
	window_set_init(&pty->windows, port);
	window_init(&pty->window);
	window_let_count(&pty->windows, &pty->window, true);
}

int pty_new(struct backend **ret_backend, struct loop *loop, struct backend_port *port,
            const char *link, mode_t mode, gid_t group)
{
	struct pty *pty = calloc(1, sizeof(*pty));
	int r;

	if (!pty)
		return log_no_memory(port->name);
	init_ops(pty, loop, port);
	r = pty_device_open(&pty->device, link, mode, group);
	if (r < 0) {
		free(pty);
		return r;
	}
	r = file_watch_start(&pty->watch, &pty->scope, pty->device.slave, on_changed);
	if (r < 0) {
		log_error("%s: can't watch %s: %s", link, pty->device.slave, strerror(-r));
		pty_device_close(&pty->device);
		free(pty);
		return r;
	}
	/* The link was there before the watch. */
	look_at_all(pty);
	*ret_backend = &pty->backend;
	return 0;
}
