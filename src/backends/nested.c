/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "backends/nested.h"

#include "backends/escape_key.h"
#include "backends/stage.h"
#include "backends/terminal.h"
#include "backends/window.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/macros.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#define INPUT_BYTES  4096u
#define OUTPUT_BYTES 16384u
#define NOTICE_BYTES 256u

/* How long the guest may take no input before keys are read that there is no room for. */
#define DEAF_MS 2000

/* How long the terminal may take to be told what the guest's modes were switched from. */
#define LEAVE_MS 1000

enum nested_state {
	NESTED_SERVING,
	NESTED_LEAVING,   /* it is stopped, and what was on its way still is */
	NESTED_RESTORING, /* what takes the guest's modes back is on its way */
};

struct nested {
	struct backend backend;
	struct loop_scope scope;
	enum nested_state state;
	struct reader reader;
	struct loop_op readable, read;
	struct loop_op writable, write;
	struct loop_op closed; /* waits for the end of standard output */
	struct loop_task flush;
	int in_fd, out_fd;
	bool terminal; /* standard input is one */
	bool shown;    /* standard output is one */
	bool input_ended;
	struct escape_key escape;
	bool deaf;      /* the guest takes no input, and hasn't for a while */
	uint64_t taken; /* what it had taken when that was last looked at */
	struct loop_timer deaf_timer;
	struct loop_timer leave;
	size_t restore_len, restore_done; /* of `out` while restoring */
	struct window_set windows;        /* this one */
	struct window window;
	struct stage stage;
	uint8_t in[INPUT_BYTES];
	uint8_t out[OUTPUT_BYTES];
};

_Static_assert(OUTPUT_BYTES >= TERMINAL_MODES_BYTES_MAX, "it fits while restoring");

static struct nested *nested_of(struct backend *backend)
{
	return container_of(backend, struct nested, backend);
}

static bool is_closing(const struct nested *nested)
{
	return nested->state != NESTED_SERVING || nested->scope.closing;
}

static void quit(struct nested *nested, bool failed)
{
	nested->backend.port->device->quit(nested->backend.port->device, failed);
}

static void wake_nested(struct reader *reader)
{
	struct nested *nested = container_of(reader, struct nested, reader);

	if (!is_closing(nested) && !nested->write.armed && !nested->writable.armed)
		reader_flush(&nested->reader, &nested->flush);
}

/* A line of ours between the guest's, if there is room for it now. */
static void notify(struct nested *nested, const char *text)
{
	char line[NOTICE_BYTES];
	int n = snprintf(line, sizeof(line), "\r\n[vhost-user-console: %s]\r\n", text);

	stage_append(&nested->stage, line, MIN((size_t)n, sizeof(line) - 1));
	wake_nested(&nested->reader);
}

/* Output. */

static void on_flush(struct loop_task *task)
{
	struct nested *nested = container_of(task, struct nested, flush);
	void *bytes;
	size_t len;

	stage_fill(&nested->stage);
	len = stage_rest(&nested->stage, &bytes);
	if (len == 0)
		return;
	loop_arm_write(&nested->write, nested->out_fd, bytes, len);
	reader_set_blocked(&nested->reader, true);
}

/* The end: the guest's modes are taken back, if the terminal takes that within LEAVE_MS. */

static void write_restoring(struct nested *nested)
{
	loop_arm_write(&nested->write, nested->out_fd, nested->out + nested->restore_done,
	               nested->restore_len - nested->restore_done);
}

/* What is left in the stage isn't sent. */
static void restore(struct nested *nested)
{
	nested->state = NESTED_RESTORING;
	nested->restore_len = terminal_take_back((char *)nested->out);
	if (nested->restore_len > 0)
		write_restoring(nested);
	else
		loop_scope_close(&nested->scope);
}

static void go_on_leaving(struct nested *nested, int32_t res)
{
	if (nested->state == NESTED_LEAVING)
		restore(nested);
	else if (res == -EAGAIN)
		loop_arm_poll(&nested->writable, nested->out_fd, POLLOUT);
	else if (loop_is_shortage(res))
		loop_arm_again(&nested->write);
	else if ((res > 0 || res == -EINTR) && nested->restore_done < nested->restore_len)
		write_restoring(nested);
	else
		loop_scope_close(&nested->scope);
}

static void on_leave(struct loop_op *op, int32_t res)
{
	struct nested *nested = container_of(op, struct nested, leave.op);

	(void)res;
	loop_scope_close(&nested->scope);
}

/* The terminal has taken so much of what was on its way. */
static void take_written(struct nested *nested, size_t len)
{
	void *bytes = nested->out + nested->restore_done;

	if (nested->state != NESTED_RESTORING)
		stage_rest(&nested->stage, &bytes);
	terminal_sent(bytes, len);
	if (nested->state == NESTED_RESTORING)
		nested->restore_done += len;
	else
		stage_delivered(&nested->stage, len);
}

static void on_written(struct loop_op *op, int32_t res)
{
	struct nested *nested = container_of(op, struct nested, write);

	reader_set_blocked(&nested->reader, res == -EAGAIN);
	take_written(nested, (size_t)MAX(res, 0));
	if (nested->scope.closing)
		return;
	if (is_closing(nested)) {
		go_on_leaving(nested, res);
	} else if (res == -EAGAIN) {
		loop_arm_poll(&nested->writable, nested->out_fd, POLLOUT);
	} else if (res == -ENOMEM) {
		loop_arm_again(op);
	} else if (res < 0 && res != -EINTR) {
		bool closed = res == -EPIPE || res == -EIO;

		if (!closed)
			log_error("can't write to standard output: %s", strerror(-res));
		quit(nested, !closed);
	} else if (stage_pending(&nested->stage)) {
		wake_nested(&nested->reader);
	}
}

static void on_writable(struct loop_op *op, int32_t res)
{
	struct nested *nested = container_of(op, struct nested, writable);

	(void)res;
	reader_set_blocked(&nested->reader, false);
	if (nested->scope.closing)
		return;
	if (nested->state == NESTED_RESTORING)
		write_restoring(nested);
	else if (nested->state == NESTED_LEAVING)
		restore(nested);
	else
		wake_nested(&nested->reader);
}

static void on_closed(struct loop_op *op, int32_t res)
{
	struct nested *nested = container_of(op, struct nested, closed);

	/* Files can't be watched, and needn't be; a socket tells of its other direction too. */
	if (!is_closing(nested) && res > 0 && (res & (POLLERR | POLLHUP)))
		quit(nested, false);
}

/* Input. */

/* What is read and what is held back of it may all be the guest's. */
static size_t input_room(const struct nested *nested)
{
	size_t room = byte_ring_free(&nested->backend.port->input);

	return room - MIN(room, escape_key_held(&nested->escape));
}

/*
 * A terminal is read also when there is no room, once the guest has taken nothing for DEAF_MS: the
 * person must be able to end this. Until then what is pasted waits in the terminal.
 */
static void arm_input(struct nested *nested)
{
	bool room = input_room(nested) > 0;
	bool background = nested->terminal && !terminal_is_raw();

	if (is_closing(nested))
		return;
	if (room)
		nested->deaf = false;
	else if (nested->terminal && !nested->deaf && !nested->deaf_timer.op.armed)
		loop_timer_arm(&nested->deaf_timer, DEAF_MS);
	if ((room || nested->deaf) && !nested->backend.port->held && !background &&
	    !nested->input_ended && !nested->readable.armed && !nested->read.armed)
		loop_arm_poll(&nested->readable, nested->in_fd, POLLIN);
}

static void on_deaf(struct loop_op *op, int32_t res)
{
	struct nested *nested = container_of(op, struct nested, deaf_timer.op);
	uint64_t taken = byte_ring_tail(&nested->backend.port->input);

	(void)res;
	if (is_closing(nested))
		return;
	nested->deaf = taken == nested->taken;
	nested->taken = taken;
	arm_input(nested);
}

static void read_input(struct nested *nested)
{
	size_t room = input_room(nested);

	if (nested->deaf)
		room = sizeof(nested->in);
	if (room == 0)
		return;
	nested->backend.port->receiving = true;
	loop_arm_read(&nested->read, nested->in_fd, nested->in, MIN(room, sizeof(nested->in)));
}

static void on_readable(struct loop_op *op, int32_t res)
{
	struct nested *nested = container_of(op, struct nested, readable);

	(void)res; /* the read tells what is there */
	if (!is_closing(nested))
		read_input(nested);
}

static void show_help(struct nested *nested)
{
	char name[ESCAPE_KEY_NAME_MAX], text[NOTICE_BYTES];

	escape_key_name(nested->escape.key, name);
	snprintf(text, sizeof(text), "%s . ends, %s %s sends %s, %s ? shows this%s", name, name,
	         name, name, name,
	         nested->escape.key == ESCAPE_KEY_DEFAULT
	             ? "; Ctrl-5 is the same key in most terminals"
	             : "");
	notify(nested, text);
}

static void do_command(struct nested *nested, enum escape_command command)
{
	if (command == ESCAPE_END)
		quit(nested, false);
	else if (command == ESCAPE_HELP)
		show_help(nested);
}

/* Returns how many bytes there was no room for. */
static size_t give_guest(struct nested *nested, const uint8_t *bytes, size_t len)
{
	struct byte_ring *input = &nested->backend.port->input;
	size_t fits = MIN(len, byte_ring_free(input));

	byte_ring_put(input, bytes, fits);
	return len - fits;
}

/* Gives the guest the keys, without those that are commands. */
static void take_keys(struct nested *nested, size_t len)
{
	uint8_t bytes[ESCAPE_KEY_HELD_MAX];
	size_t n, dropped = 0;

	for (size_t i = 0; i < len; i++) {
		enum escape_command command;

		n = escape_key_take(&nested->escape, nested->in[i], bytes, &command);
		dropped += give_guest(nested, bytes, n);
		do_command(nested, command);
	}
	n = escape_key_pause(&nested->escape, bytes);
	dropped += give_guest(nested, bytes, n);
	if (dropped > 0)
		notify(nested, "the guest takes no input; keys were dropped");
}

static void take_input(struct nested *nested, size_t len)
{
	if (nested->terminal)
		take_keys(nested, len);
	else
		byte_ring_put(&nested->backend.port->input, nested->in, len);
	nested->backend.port->device->pump(nested->backend.port->device);
}

/* The end of a terminal is the end of all; the end of any other input is that of input only. */
static void end_input(struct nested *nested, int32_t res)
{
	nested->input_ended = true;
	if (nested->terminal)
		quit(nested, false);
	else if (res < 0)
		log_warning("can't read standard input: %s", strerror(-res));
}

static void on_read(struct loop_op *op, int32_t res)
{
	struct nested *nested = container_of(op, struct nested, read);

	nested->backend.port->receiving = false;
	if (res > 0)
		take_input(nested, (size_t)res);
	if (is_closing(nested))
		return;
	if (res == -ENOMEM) {
		nested->backend.port->receiving = true;
		loop_arm_again(op);
		return;
	}
	if (res == 0 || (res < 0 && res != -EAGAIN && res != -EINTR))
		end_input(nested, res);
	arm_input(nested);
}

/* The window. */

static void look_at_window(struct nested *nested)
{
	struct winsize size;

	if (nested->terminal && ioctl(nested->in_fd, TIOCGWINSZ, &size) == 0)
		window_resize(&nested->windows, &nested->window, size.ws_col, size.ws_row);
}

/* The interface. */

static void nested_wake(struct backend *backend)
{
	struct nested *nested = nested_of(backend);

	if (!is_closing(nested))
		arm_input(nested);
}

/* A pipe or a file is a script's: what comes next is for whoever the guest is then. */
static size_t nested_drop_input(struct backend *backend)
{
	struct nested *nested = nested_of(backend);
	int waiting = 0;

	if (!nested->terminal || ioctl(nested->in_fd, FIONREAD, &waiting) < 0 || waiting < 0)
		return 0;
	tcflush(nested->in_fd, TCIFLUSH);
	return (size_t)waiting;
}

static void on_drained(struct loop_scope *scope)
{
	struct nested *nested = container_of(scope, struct nested, scope);
	struct backend_device *device = nested->backend.port->device;

	terminal_show(-1);
	terminal_leave_raw();
	if (nested->terminal)
		log_end_line();
	reader_deinit(&nested->reader);
	fd_close(&nested->in_fd);
	fd_close(&nested->out_fd);
	free(nested);
	device->stopped(device);
}

static void nested_stop(struct backend *backend)
{
	struct nested *nested = nested_of(backend);

	loop_task_cancel(&nested->flush);
	if (!nested->shown || is_closing(nested)) {
		loop_scope_close(&nested->scope);
		return;
	}
	nested->state = NESTED_LEAVING;
	reader_abandon(&nested->reader);
	loop_timer_arm(&nested->leave, LEAVE_MS);
	if (!nested->write.armed && !nested->writable.armed)
		restore(nested);
}

static void nested_resize(struct backend *backend)
{
	look_at_window(nested_of(backend));
}

static void nested_suspend(struct backend *backend)
{
	struct nested *nested = nested_of(backend);
	void *bytes;
	size_t len = stage_rest(&nested->stage, &bytes);

	terminal_lend(bytes, nested->write.armed ? len : 0);
	terminal_leave_raw();
}

static void nested_resume(struct backend *backend)
{
	struct nested *nested = nested_of(backend);

	if (nested->terminal)
		terminal_enter_raw(nested->in_fd);
	terminal_have_again();
	look_at_window(nested);
	arm_input(nested);
}

static const struct backend_ops nested_ops = {
    .wake = nested_wake,
    .drop_input = nested_drop_input,
    .stop = nested_stop,
    .resize = nested_resize,
    .suspend = nested_suspend,
    .resume = nested_resume,
};

/*
 * Our own descriptor for standard input or output. Terminals and pipes are opened anew, so that
 * O_NONBLOCK is only ours; where that can't be, and for files, whose position is shared on
 * purpose, it is a duplicate. Returns it or -errno.
 */
static int open_own(int fd, int flags)
{
	struct stat st;
	char path[32];
	int own = -1;

	if (fstat(fd, &st) < 0)
		return -errno;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (S_ISFIFO(st.st_mode) || isatty(fd))
		own = open(path, flags | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (own < 0)
		own = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	return own < 0 ? -errno : own;
}

static int open_both(struct nested *nested)
{
	nested->in_fd = nested->out_fd = -1;
	nested->terminal = isatty(STDIN_FILENO);
	nested->in_fd = open_own(STDIN_FILENO, O_RDONLY);
	nested->out_fd = open_own(STDOUT_FILENO, O_WRONLY);
	nested->shown = nested->out_fd >= 0 && isatty(nested->out_fd);
	if (nested->in_fd >= 0 && nested->out_fd >= 0)
		return nested->terminal ? terminal_enter_raw(nested->in_fd) : 0;
	return nested->in_fd < 0 ? nested->in_fd : nested->out_fd;
}

static void init_ops(struct nested *nested, struct loop *loop, struct backend_port *port)
{
	loop_scope_init(&nested->scope, loop, on_drained);
	loop_op_init(&nested->readable, &nested->scope, on_readable);
	loop_op_init(&nested->read, &nested->scope, on_read);
	loop_op_init(&nested->writable, &nested->scope, on_writable);
	loop_op_init(&nested->write, &nested->scope, on_written);
	loop_op_init(&nested->closed, &nested->scope, on_closed);
	loop_timer_init(&nested->deaf_timer, &nested->scope, on_deaf);
	loop_timer_init(&nested->leave, &nested->scope, on_leave);
	loop_task_init(&nested->flush, on_flush);
	reader_init(&nested->reader, output_of(port), wake_nested);
	if (port->data)
		reader_make_patient(&nested->reader);
	if (nested->shown)
		reader_make_terminal(&nested->reader, byte_ring_head(&port->output));
	stage_init(&nested->stage, &nested->reader, nested->out, sizeof(nested->out));
	window_set_init(&nested->windows, port);
	window_init(&nested->window);
	window_let_count(&nested->windows, &nested->window, true);
}

static void greet(struct nested *nested)
{
	char name[ESCAPE_KEY_NAME_MAX], text[NOTICE_BYTES] = "no escape key; SIGTERM ends this";

	if (nested->escape.key != ESCAPE_KEY_NONE) {
		escape_key_name(nested->escape.key, name);
		snprintf(text, sizeof(text), "%s . ends, %s ? shows help", name, name);
	}
	notify(nested, text);
}

int nested_new(struct backend **ret_backend, struct loop *loop, struct backend_port *port,
               int escape_key)
{
	struct nested *nested = calloc(1, sizeof(*nested));
	int r;

	if (!nested)
		return log_no_memory(port->name);
	nested->backend = (struct backend){.ops = &nested_ops, .port = port};
	port->attended = 1;
	r = open_both(nested);
	if (r < 0) {
		log_error("can't use standard input and output: %s", strerror(-r));
		fd_close(&nested->in_fd);
		fd_close(&nested->out_fd);
		free(nested);
		return r;
	}
	init_ops(nested, loop, port);
	escape_key_init(&nested->escape, escape_key);
	if (nested->shown)
		terminal_show(nested->out_fd);
	loop_arm_poll(&nested->closed, nested->out_fd, 0);
	arm_input(nested);
	if (nested->terminal)
		greet(nested);
	*ret_backend = &nested->backend;
	return 0;
}
