/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "loop/eventfd.h"

#include "base/fd.h"
#include "base/macros.h"

#include <errno.h>

static void slot_init(struct eventfd_slot *slot, struct loop_scope *scope, loop_op_fn *fn,
                      struct fd_discarder *discarder)
{
	slot->discarder = discarder;
	loop_op_init(&slot->op, scope, fn);
	slot->fd = slot->parked = -1;
}

static void slot_deinit(struct eventfd_slot *slot)
{
	assert(!slot->op.armed);
	fd_discard(slot->discarder, &slot->fd);
	fd_discard(slot->discarder, &slot->parked);
}

static void slot_set(struct eventfd_slot *slot, int fd)
{
	if (slot->op.armed && slot->parked < 0) {
		slot->parked = fd_take(&slot->fd);
		loop_cancel(&slot->op);
	}
	fd_discard(slot->discarder, &slot->fd);
	slot->fd = fd;
}

/* To be called at each completion. True if the slot may be armed (again). */
static bool slot_completed(struct eventfd_slot *slot)
{
	fd_discard(slot->discarder, &slot->parked);
	return slot->fd >= 0 && !slot->op.scope->closing;
}

/* The kick. */

static void source_arm(struct eventfd_source *source)
{
	loop_arm_read(&source->slot.op, source->slot.fd, &source->count, sizeof(source->count));
}

static void on_source_read(struct loop_op *op, int32_t res)
{
	struct eventfd_source *source = container_of(op, struct eventfd_source, slot.op);
	bool replaced = source->slot.parked >= 0;

	if (!slot_completed(&source->slot))
		return;
	/* An eventfd can always be read; what can fail is the kernel's memory. */
	if (res < 0 && !replaced) {
		loop_arm_again(op);
		return;
	}
	source_arm(source);
	source->kicked(source);
}

void eventfd_source_init(struct eventfd_source *source, struct loop_scope *scope,
                         void (*kicked)(struct eventfd_source *source))
{
	slot_init(&source->slot, scope, on_source_read, NULL);
	source->kicked = kicked;
}

void eventfd_source_set(struct eventfd_source *source, int fd)
{
	slot_set(&source->slot, fd);
	if (source->slot.fd >= 0 && !source->slot.op.armed)
		source_arm(source);
}

void eventfd_source_deinit(struct eventfd_source *source)
{
	slot_deinit(&source->slot);
}

/* The call and the error signal. */

static void sink_arm(struct eventfd_sink *sink)
{
	sink->again = false;
	loop_arm_write(&sink->slot.op, sink->slot.fd, sink->message, sink->message_len);
}

static void on_sink_written(struct loop_op *op, int32_t res)
{
	struct eventfd_sink *sink = container_of(op, struct eventfd_sink, slot.op);

	if (!slot_completed(&sink->slot))
		return;
	if (res == -ENOMEM)
		sink->again = true;
	if (res == -ENOMEM && op->fd == sink->slot.fd)
		loop_arm_again(op);
	else if (sink->again)
		sink_arm(
		    sink); /* not after -EAGAIN: an eventfd at its top tells its reader already */
}

void eventfd_sink_init_message(struct eventfd_sink *sink, struct loop_scope *scope,
                               struct fd_discarder *discarder, const void *message, size_t len)
{
	slot_init(&sink->slot, scope, on_sink_written, discarder);
	sink->message = message;
	sink->message_len = len;
	sink->again = false;
}

void eventfd_sink_init(struct eventfd_sink *sink, struct loop_scope *scope)
{
	static const uint64_t one = 1;

	eventfd_sink_init_message(sink, scope, NULL, &one, sizeof(one));
}

void eventfd_sink_set(struct eventfd_sink *sink, int fd)
{
	/* A write in flight may be cancelled: the new reader must learn of it. */
	sink->again |= sink->slot.op.armed;
	slot_set(&sink->slot, fd);
	if (sink->again && sink->slot.fd >= 0 && !sink->slot.op.armed)
		sink_arm(sink);
}

void eventfd_sink_signal(struct eventfd_sink *sink)
{
	if (sink->slot.op.armed || sink->slot.fd < 0)
		sink->again = true;
	else
		sink_arm(sink);
}

void eventfd_sink_deinit(struct eventfd_sink *sink)
{
	slot_deinit(&sink->slot);
}
