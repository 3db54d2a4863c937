/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The self-test's backend. See fake_backend.h.
 */
#include "fake_backend.h"

#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "driver.h"

#define BIT(n) (1ull << (n))

struct request {
	uint32_t header[3];
	uint8_t payload[1024];
	int fds[16];
	unsigned int fd_count;
};

void fake_backend_init(struct fake_backend *fake, int sock)
{
	memset(fake, 0, sizeof(*fake));
	fake->sock = sock;
	fake->channel = -1;
	for (int i = 0; i < FAKE_VRINGS; i++)
		fake->vring[i].kick = fake->vring[i].call = fake->vring[i].err = -1;
	fake->features = BIT(DRIVER_F_VERSION_1) | BIT(DRIVER_F_EVENT_IDX) |
	                 BIT(DRIVER_F_INDIRECT_DESC) | BIT(FE_F_PROTOCOL_FEATURES) | 1;
	fake->protocol_features = BIT(FE_PROTOCOL_MQ) | BIT(FE_PROTOCOL_REPLY_ACK) |
	                          BIT(FE_PROTOCOL_BACKEND_REQ) | BIT(FE_PROTOCOL_CONFIG) |
	                          BIT(FE_PROTOCOL_CONFIGURE_MEM_SLOTS);
}

static void replace(int *slot, int fd)
{
	if (*slot >= 0)
		close(*slot);
	*slot = fd;
}

static void forget_memory(struct fake_backend *fake)
{
	while (fake->region_count) {
		fake->region_count--;
		munmap(fake->region[fake->region_count].mapped,
		       fake->region[fake->region_count].mapped_size);
	}
}

void fake_backend_deinit(struct fake_backend *fake)
{
	forget_memory(fake);
	for (int i = 0; i < FAKE_VRINGS; i++) {
		replace(&fake->vring[i].kick, -1);
		replace(&fake->vring[i].call, -1);
		replace(&fake->vring[i].err, -1);
	}
	replace(&fake->channel, -1);
	replace(&fake->sock, -1);
}

/* ---- memory ---- */

static void add_memory(struct fake_backend *fake, const uint8_t *wire, int fd)
{
	struct guest_region *region = &fake->region[fake->region_count++];
	uint64_t fields[4];

	memcpy(fields, wire, sizeof(fields));
	*region = (struct guest_region){
	    .gpa = fields[0], .size = fields[1], .uva = fields[2], .offset = fields[3]};
	region->mapped_size = region->size + region->offset;
	region->mapped = mmap(NULL, region->mapped_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	region->map = (uint8_t *)region->mapped + region->offset;
}

static void *at_gpa(struct fake_backend *fake, uint64_t gpa)
{
	for (unsigned int i = 0; i < fake->region_count; i++)
		if (gpa - fake->region[i].gpa < fake->region[i].size)
			return fake->region[i].map + (gpa - fake->region[i].gpa);
	abort();
}

static void *at_uva(struct fake_backend *fake, uint64_t uva)
{
	for (unsigned int i = 0; i < fake->region_count; i++)
		if (uva - fake->region[i].uva < fake->region[i].size)
			return fake->region[i].map + (uva - fake->region[i].uva);
	abort();
}

/* ---- rings ---- */

/* Moves bytes between one chain and its lane; the bytes written into it. */
static uint32_t do_chain(struct fake_backend *fake, struct fake_lane *lane,
                         const struct driver_desc *table, uint16_t head)
{
	const struct driver_desc *desc = &table[head];
	size_t left = lane->most ? lane->most : SIZE_MAX;
	uint32_t written = 0, part;

	if (desc->flags & DRIVER_DESC_INDIRECT)
		desc = table = at_gpa(fake, desc->addr);
	for (;; desc = &table[desc->next]) {
		part = desc->len;
		if (desc->flags & DRIVER_DESC_WRITE) {
			part = lane->input_size < part ? (uint32_t)lane->input_size : part;
			part = left < part ? (uint32_t)left : part;
			memcpy(at_gpa(fake, desc->addr), lane->input, part);
			lane->input += part;
			lane->input_size -= part;
			left -= part;
			written += part;
		} else if (part <= sizeof(lane->output) - lane->output_size) {
			memcpy(lane->output + lane->output_size, at_gpa(fake, desc->addr), part);
			lane->output_size += part;
		}
		if (!(desc->flags & DRIVER_DESC_NEXT))
			return written;
	}
}

static void put_used(struct fake_backend *fake, struct fake_vring *vring, uint16_t place,
                     uint16_t head, uint32_t len)
{
	uint8_t *used = at_uva(fake, vring->used);
	uint32_t entry[2] = {head, len};

	memcpy(used + 4 + 8 * (place & (vring->num - 1)), entry, sizeof(entry));
}

static void call_driver(struct fake_backend *fake, struct fake_vring *vring, uint16_t old,
                        uint16_t new)
{
	uint16_t *avail = at_uva(fake, vring->avail);
	uint64_t one = 1;

	atomic_thread_fence(memory_order_seq_cst);
	if (fake->acked_features & BIT(DRIVER_F_EVENT_IDX)) {
		uint16_t event = driver_load16(avail + 2 + vring->num);

		if ((uint16_t)(new - event - 1) >= (uint16_t)(new - old))
			return;
	} else if (driver_load16(avail) & 1) {
		return;
	}
	fake->calls++;
	if (vring->call >= 0 && write(vring->call, &one, sizeof(one)) < 0)
		abort();
}

static void do_vring(struct fake_backend *fake, struct fake_vring *vring, struct fake_lane *lane,
                     bool receive)
{
	uint16_t *avail = at_uva(fake, vring->avail), *used = at_uva(fake, vring->used);
	uint16_t old = driver_load16(used + 1), new = old, in_batch = 0, head;
	uint32_t len;

	while (vring->last_avail != driver_load16(avail + 1) && (!receive || lane->input_size)) {
		head = avail[2 + (vring->last_avail++ & (vring->num - 1))];
		if (receive && lane->refuse) {
			lane->refuse--;
			len = 0;
		} else {
			len = do_chain(fake, lane, at_uva(fake, vring->desc), head);
		}
		new ++;
		/* A batch's entry stands where its first buffer's would. */
		put_used(fake, vring, (uint16_t)(new - 1 - in_batch), head, len);
		in_batch = fake->batch && in_batch + 1 < fake->batch ? (uint16_t)(in_batch + 1) : 0;
	}
	driver_store16(used, fake->suppress_kicks ? 1 : 0);
	driver_store16(used + 2 + 4 * vring->num,
	               (uint16_t)(vring->last_avail + (fake->suppress_kicks ? 0x8000 : 0)));
	if (new == old)
		return;
	driver_store16(used + 1, new);
	call_driver(fake, vring, old, new);
}

/* ---- messages ---- */

static void reply(struct fake_backend *fake, uint32_t request, const void *payload, uint32_t size)
{
	uint32_t header[3] = {request, FE_FLAG_VERSION | FE_FLAG_REPLY | fake->wrong_flags, size};
	uint8_t bytes[sizeof(header) + 1024];

	if (fake->mute)
		return;
	memcpy(bytes, header, sizeof(header));
	if (size)
		memcpy(bytes + sizeof(header), payload, size);
	if (send(fake->sock, bytes, sizeof(header) + size, MSG_NOSIGNAL) < 0)
		fake->closed = 1;
}

static void reply_u64(struct fake_backend *fake, uint32_t request, uint64_t value)
{
	reply(fake, request, &value, sizeof(value));
}

static int take_fd(struct request *request)
{
	return request->fd_count ? request->fds[--request->fd_count] : -1;
}

static void handle_vring(struct fake_backend *fake, struct request *request)
{
	uint32_t state[2];
	uint64_t addr[5];
	struct fake_vring *vring;

	memcpy(state, request->payload, sizeof(state));
	memcpy(addr, request->payload, sizeof(addr));
	vring = &fake->vring[state[0] & 0xff & (FAKE_VRINGS - 1)];
	switch (request->header[0]) {
	case FE_SET_VRING_NUM:
		vring->num = state[1];
		break;
	case FE_SET_VRING_BASE:
		vring->last_avail = (uint16_t)state[1];
		break;
	case FE_SET_VRING_ADDR:
		vring->desc = addr[1];
		vring->used = addr[2];
		vring->avail = addr[3];
		break;
	case FE_SET_VRING_ENABLE:
		vring->enabled = state[1];
		break;
	case FE_SET_VRING_KICK:
		replace(&vring->kick, take_fd(request));
		vring->started = vring->num != 0;
		break;
	case FE_SET_VRING_CALL:
		replace(&vring->call, take_fd(request));
		break;
	case FE_SET_VRING_ERR:
		replace(&vring->err, take_fd(request));
		break;
	default:
		break;
	}
}

static void handle_memory(struct fake_backend *fake, const struct request *request)
{
	uint32_t count;

	if (request->header[0] == FE_ADD_MEM_REG) {
		add_memory(fake, request->payload + 8, request->fds[0]);
		return;
	}
	forget_memory(fake);
	memcpy(&count, request->payload, sizeof(count));
	for (uint32_t i = 0; i < count; i++)
		add_memory(fake, request->payload + 8 + 32 * i, request->fds[i]);
}

static void handle_config(struct fake_backend *fake, struct request *request)
{
	uint32_t field[3];

	memcpy(field, request->payload, sizeof(field));
	if (field[0] + field[1] > sizeof(fake->config)) {
		reply(fake, FE_GET_CONFIG, NULL, 0);
		return;
	}
	memcpy(request->payload + sizeof(field), fake->config + field[0], field[1]);
	reply(fake, FE_GET_CONFIG, request->payload, (uint32_t)sizeof(field) + field[1]);
}

/* Requests with an answer of their own; false for the others. */
static bool answer(struct fake_backend *fake, struct request *request)
{
	uint32_t state[2];

	switch (request->header[0]) {
	case FE_GET_FEATURES:
		reply_u64(fake, FE_GET_FEATURES, fake->features);
		return true;
	case FE_GET_PROTOCOL_FEATURES:
		reply_u64(fake, FE_GET_PROTOCOL_FEATURES, fake->protocol_features);
		return true;
	case FE_GET_QUEUE_NUM:
		reply_u64(fake, FE_GET_QUEUE_NUM, FAKE_VRINGS);
		return true;
	case FE_GET_MAX_MEM_SLOTS:
		reply_u64(fake, FE_GET_MAX_MEM_SLOTS, FAKE_REGIONS);
		return true;
	case FE_GET_VRING_BASE:
		memcpy(state, request->payload, sizeof(state));
		fake->vring[state[0]].started = false;
		state[1] = fake->vring[state[0]].last_avail;
		reply(fake, FE_GET_VRING_BASE, state, sizeof(state));
		return true;
	case FE_GET_CONFIG:
		handle_config(fake, request);
		return true;
	default:
		return false;
	}
}

static void handle(struct fake_backend *fake, struct request *request)
{
	if (answer(fake, request))
		return;
	switch (request->header[0]) {
	case FE_SET_FEATURES:
		memcpy(&fake->acked_features, request->payload, 8);
		break;
	case FE_SET_MEM_TABLE:
	case FE_ADD_MEM_REG:
		handle_memory(fake, request);
		break;
	case FE_SET_BACKEND_REQ_FD:
		replace(&fake->channel, take_fd(request));
		break;
	case FE_SET_CONFIG:
		memcpy(fake->config, request->payload + 12, sizeof(fake->config));
		break;
	default:
		handle_vring(fake, request);
	}
	if (request->header[1] & FE_FLAG_NEED_REPLY)
		reply_u64(fake, request->header[0], request->header[0] == fake->refuse);
}

static void remember(struct fake_backend *fake, const struct request *request)
{
	struct fake_record *record = &fake->record[fake->count++ % FAKE_RECORDS];

	*record = (struct fake_record){.request = request->header[0],
	                               .flags = request->header[1],
	                               .size = request->header[2],
	                               .fd_count = request->fd_count};
	memcpy(record->payload, request->payload, sizeof(record->payload));
}

static bool receive(struct fake_backend *fake, struct request *request)
{
	union {
		char buffer[CMSG_SPACE(sizeof(request->fds))];
		struct cmsghdr align;
	} control;
	struct iovec iov = {request->header, sizeof(request->header)};
	struct msghdr header = {.msg_iov = &iov,
	                        .msg_iovlen = 1,
	                        .msg_control = control.buffer,
	                        .msg_controllen = sizeof(control.buffer)};
	struct cmsghdr *cmsg;

	memset(request, 0, sizeof(*request));
	if (recvmsg(fake->sock, &header, MSG_CMSG_CLOEXEC | MSG_DONTWAIT) < 12)
		return false;
	for (cmsg = CMSG_FIRSTHDR(&header); cmsg; cmsg = CMSG_NXTHDR(&header, cmsg)) {
		request->fd_count =
		    (unsigned int)((cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(request->fds[0]));
		memcpy(request->fds, CMSG_DATA(cmsg), cmsg->cmsg_len - CMSG_LEN(0));
	}
	return !request->header[2] || recv(fake->sock, request->payload, request->header[2],
	                                   MSG_DONTWAIT) == (ssize_t)request->header[2];
}

void fake_backend_turn(struct frontend *frontend)
{
	struct fake_backend *fake = frontend->turn_arg;
	struct pollfd poll_fd = {.fd = fake->sock, .events = POLLIN};
	struct request request;

	if (!fake->closed && poll(&poll_fd, 1, 0) > 0) {
		if (receive(fake, &request)) {
			remember(fake, &request);
			handle(fake, &request);
			while (request.fd_count)
				close(request.fds[--request.fd_count]);
		} else {
			fake->closed = 1;
		}
	}
	for (int i = 0; i < FAKE_VRINGS; i++)
		if (fake->vring[i].started && fake->vring[i].enabled)
			do_vring(fake, &fake->vring[i], &fake->lane[i / 2], i % 2 == 0);
}
