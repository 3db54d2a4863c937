/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The driver's side of a split virtqueue: buffers out, buffers back, kicks and calls. See driver.h;
 * making a queue and its fields in memory are in driver_queue.c.
 */
#include "driver.h"

#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "driver_books.h"
#include "support.h"

#define NO_INTERRUPT 1u /* available ring's flags */
#define NO_NOTIFY    1u /* used ring's flags */

/* ---- giving buffers ---- */

static uint16_t take_free(struct driver_queue *queue)
{
	uint16_t descriptor = queue->free_first;

	queue->free_count--;
	/* 2.7.5.1.1: with IN_ORDER, descriptors in ring order. Chains come back whole and in order,
	 * so the one after the last taken is free if any is. */
	if (queue->in_order)
		queue->free_first = (uint16_t)((descriptor + 1) & (queue->size - 1));
	else
		queue->free_first = queue->link[descriptor];
	return descriptor;
}

static void give_free(struct driver_queue *queue, uint16_t descriptor)
{
	queue->free_count++;
	if (queue->in_order)
		return;
	queue->link[descriptor] = queue->free_first;
	queue->free_first = descriptor;
}

static void book_chain(struct driver_queue *queue, uint16_t head, uint16_t count, uint64_t writable,
                       uint64_t cookie)
{
	queue->chains[head] = (struct driver_chain){
	    .outstanding = true, .count = count, .writable = writable, .cookie = cookie};
	queue->order[(queue->order_first + queue->order_count++) % queue->size] = head;
	*driver_avail_entry(queue, queue->avail_idx & (queue->size - 1)) = head;
	queue->avail_idx++;
}

static uint16_t buffer_flags(const struct driver_buffer *buffers, uint32_t i, uint32_t count)
{
	uint16_t flags = buffers[i].write ? DRIVER_DESC_WRITE : 0;

	if (i + 1 < count)
		flags |= DRIVER_DESC_NEXT;
	return flags;
}

static uint64_t writable_bytes(const struct driver_buffer *buffers, uint32_t count)
{
	uint64_t sum = 0;
	uint32_t i;

	for (i = 0; i < count; i++)
		if (buffers[i].write)
			sum += buffers[i].len;
	return sum;
}

bool driver_add(struct driver_queue *queue, const struct driver_buffer *buffers, uint32_t count,
                uint64_t cookie)
{
	uint16_t head = queue->free_first;
	uint16_t descriptor, next;
	uint32_t i;

	if (!count)
		support_die("a chain of no buffers");
	if (count > queue->free_count)
		return false;
	for (i = 0; i < count; i++) {
		descriptor = take_free(queue);
		next = i + 1 < count ? queue->free_first : 0;
		queue->link[descriptor] = next;
		driver_write_desc(driver_desc_at(queue, descriptor), buffers[i].gpa, buffers[i].len,
		                  buffer_flags(buffers, i, count), next);
	}
	book_chain(queue, head, (uint16_t)count, writable_bytes(buffers, count), cookie);
	return true;
}

bool driver_add_indirect(struct driver_queue *queue, uint64_t table_gpa,
                         const struct driver_buffer *buffers, uint32_t count, uint64_t cookie)
{
	struct driver_desc *table;
	uint16_t descriptor;
	uint32_t i, bytes = count * (uint32_t)sizeof(*table);

	if (!queue->free_count)
		return false;
	table = guest_memory_at(queue->memory, table_gpa, bytes);
	for (i = 0; i < count; i++)
		driver_write_desc(&table[i], buffers[i].gpa, buffers[i].len,
		                  buffer_flags(buffers, i, count),
		                  (uint16_t)(i + 1 < count ? i + 1 : 0));
	descriptor = take_free(queue);
	driver_write_desc(driver_desc_at(queue, descriptor), table_gpa, bytes, DRIVER_DESC_INDIRECT,
	                  0);
	book_chain(queue, descriptor, 1, writable_bytes(buffers, count), cookie);
	return true;
}

void driver_publish(struct driver_queue *queue)
{
	/* Release: pairs with the device's acquire load of idx. */
	driver_store16(driver_avail_idx(queue), queue->avail_idx);
}

bool driver_wants_kick(struct driver_queue *queue)
{
	uint16_t published = driver_load16(driver_avail_idx(queue));
	uint16_t since = queue->kicked_idx;
	uint16_t event;

	/* 2.7.13.4: between the store of avail idx and the load of avail_event or flags. Pairs with
	 * the device's fence between its store of avail_event and its last look at avail idx. */
	atomic_thread_fence(memory_order_seq_cst);
	queue->kicked_idx = published;
	if (!queue->event_idx)
		return !(driver_load16(driver_used_flags(queue)) & NO_NOTIFY);
	event = driver_load16(driver_avail_event(queue));
	return (uint16_t)(published - event - 1) < (uint16_t)(published - since);
}

void driver_kick_always(struct driver_queue *queue)
{
	uint64_t one = 1;

	if (write(queue->kick, &one, sizeof(one)) != (ssize_t)sizeof(one))
		support_die("kick of vring %u: %s", queue->index, strerror(errno));
}

bool driver_kick(struct driver_queue *queue)
{
	driver_publish(queue);
	if (!driver_wants_kick(queue))
		return false;
	driver_kick_always(queue);
	return true;
}

/* ---- taking them back ---- */

uint16_t driver_used_count(const struct driver_queue *queue)
{
	/* Acquire: pairs with the device's release store of idx. */
	return (uint16_t)(driver_load16(driver_used_idx(queue)) - queue->used_idx);
}

bool driver_harvest_raw(struct driver_queue *queue, uint32_t *ret_id, uint32_t *ret_len)
{
	uint32_t slot = queue->used_idx & (queue->size - 1u);

	if (!driver_used_count(queue))
		return false;
	*ret_id = *driver_used_id(queue, slot);
	*ret_len = *driver_used_len(queue, slot);
	queue->used_idx++;
	return true;
}

static void forget_order(struct driver_queue *queue, uint16_t head)
{
	uint32_t i, from, to;

	/* The oldest one, as a rule; otherwise close the gap. */
	for (i = 0; queue->order[(queue->order_first + i) % queue->size] != head; i++)
		;
	if (i && queue->expect_order)
		support_die("vring %u: buffer %u came back before %u older ones", queue->index,
		            head, i);
	for (; i; i--) {
		to = (queue->order_first + i) % queue->size;
		from = (queue->order_first + i - 1) % queue->size;
		queue->order[to] = queue->order[from];
	}
	queue->order_first = (queue->order_first + 1) % queue->size;
	queue->order_count--;
}

static struct driver_used finish_chain(struct driver_queue *queue, uint16_t head, uint32_t len)
{
	struct driver_chain *chain = &queue->chains[head];
	uint16_t descriptor = head, next, left;

	if (queue->expect_len && len > chain->writable)
		support_die("vring %u: %u bytes written into buffer %u, which has room for %llu",
		            queue->index, len, head, (unsigned long long)chain->writable);
	forget_order(queue, head);
	chain->outstanding = false;
	for (left = chain->count; left; left--) {
		next = queue->link[descriptor];
		give_free(queue, descriptor);
		descriptor = next;
	}
	return (struct driver_used){.head = head, .len = len, .cookie = chain->cookie};
}

/* IN_ORDER, 2.7.9: one entry, at the batch's first place, names the batch's last chain. */
static void open_batch(struct driver_queue *queue, uint16_t last, uint32_t len)
{
	uint16_t count = 1;

	while (queue->order[(queue->order_first + count - 1) % queue->size] != last)
		count++;
	/* One of them has been counted by driver_harvest_raw(). */
	if (driver_used_count(queue) < count - 1)
		support_die("vring %u: used entry for buffer %u, but %u before it aren't used",
		            queue->index, last, count - 1);
	queue->used_idx = (uint16_t)(queue->used_idx + count - 1);
	queue->batch_left = count;
	queue->batch_len = len;
}

static struct driver_used next_of_batch(struct driver_queue *queue)
{
	uint16_t head = queue->order[queue->order_first];
	uint32_t len = queue->batch_len;

	/* A skipped chain counts as used completely. */
	if (--queue->batch_left)
		len = (uint32_t)queue->chains[head].writable;
	return finish_chain(queue, head, len);
}

bool driver_harvest(struct driver_queue *queue, struct driver_used *ret_used)
{
	uint32_t id, len;

	if (!queue->batch_left) {
		if (driver_used_count(queue) > queue->order_count)
			support_die("vring %u: %u used entries for %u buffers", queue->index,
			            driver_used_count(queue), queue->order_count);
		if (!driver_harvest_raw(queue, &id, &len))
			return false;
		if (id >= queue->size || !queue->chains[id].outstanding)
			support_die("vring %u: used entry for %u, which the device doesn't have",
			            queue->index, id);
		if (!queue->in_order) {
			*ret_used = finish_chain(queue, (uint16_t)id, len);
			return true;
		}
		open_batch(queue, (uint16_t)id, len);
	}
	*ret_used = next_of_batch(queue);
	return true;
}

struct used_wait {
	struct driver_queue *queue;
	uint16_t count;
};

static bool enough_used(void *arg)
{
	struct used_wait *wait = arg;

	return wait->queue->batch_left + driver_used_count(wait->queue) >= wait->count;
}

void driver_await_used(struct driver_queue *queue, uint16_t count)
{
	struct used_wait wait = {.queue = queue, .count = count};

	frontend_await(queue->frontend, enough_used, &wait,
	               queue->index % 2 ? "a used buffer of a transmit queue"
	                                : "a used buffer of a receive queue");
}

struct driver_used driver_await(struct driver_queue *queue)
{
	struct driver_used used;

	driver_await_used(queue, 1);
	if (!driver_harvest(queue, &used))
		support_die("vring %u: no used buffer after waiting", queue->index);
	return used;
}

uint32_t driver_outstanding(const struct driver_queue *queue)
{
	return queue->order_count;
}

/* ---- calls ---- */

void driver_set_used_event(struct driver_queue *queue, uint16_t index)
{
	driver_store16(driver_used_event(queue), index);
}

bool driver_ask_calls(struct driver_queue *queue, bool wanted)
{
	if (queue->event_idx)
		driver_set_used_event(queue, (uint16_t)(queue->used_idx + (wanted ? 0 : 0x8000)));
	else
		driver_store16(driver_avail_flags(queue), (uint16_t)(wanted ? 0 : NO_INTERRUPT));
	/* Pairs with the device's fence between its store of used idx and its load of used_event.
	 */
	atomic_thread_fence(memory_order_seq_cst);
	return driver_used_count(queue) != 0;
}

/* Reads an eventfd, blocking or not, without waiting. */
static uint64_t take_eventfd(int fd)
{
	struct pollfd readable = {.fd = fd, .events = POLLIN};
	uint64_t count;

	if (fd < 0 || poll(&readable, 1, 0) <= 0 || !(readable.revents & POLLIN))
		return 0;
	if (read(fd, &count, sizeof(count)) != (ssize_t)sizeof(count))
		return 0;
	return count;
}

uint64_t driver_take_calls(struct driver_queue *queue)
{
	return take_eventfd(queue->call);
}

void driver_await_call(struct driver_queue *queue)
{
	frontend_await_fd(queue->frontend, queue->call, POLLIN, "a call");
	driver_take_calls(queue);
}

bool driver_take_error(struct driver_queue *queue)
{
	return take_eventfd(queue->err) != 0;
}
