/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A saved device state, as a frontend brings it. What is taken is in range, and is written again as
 * it was. A console that it fits goes on with it: what that saves fits another one of the same
 * ports, which then is the same; and a driver, which stopped at control message 7, is told
 * everything and gets all input. The input is tried as it is, and with its lengths put right.
 */
#include "target.h"

#include "people.h"

#include "base/macros.h"
#include "console/console.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* A console, one with a name, a data port; and the place of one that isn't there. */
#define PORTS       4u
#define PLUGGED     3u
#define DATA_PORT   2u
#define VRINGS      CONSOLE_VRINGS(PORTS)
#define SPILL_BYTES 1024u

/* docs/device-state.md: the head of a state and of a port, and where in them something is. */
#define HEAD          32u
#define HEAD_PORTS    16u
#define HEAD_SIZE     24u
#define PORT          40u
#define PORT_NAME_LEN 7u
#define PORT_LENGTHS  16u

#define BASE     7u /* of all rings: see `stopped_at` in seeds_targets.py */
#define ENTRIES  64u
#define GPA      0x40000000ull
#define UVA      0x7f1200000000ull
#define FEATURES (1ull << VIRTIO_CONSOLE_F_SIZE | 1ull << VIRTIO_CONSOLE_F_MULTIPORT)

/* A ring in guest memory, with a buffer for each entry. */
struct ring {
	struct virtq_desc desc[ENTRIES];
	struct {
		le16 flags, idx, ring[ENTRIES], used_event;
	} avail;
	_Alignas(8) struct {
		le16 flags, idx;
		le32 ring[2 * ENTRIES];
		le16 avail_event;
	} used;
	uint8_t buffers[ENTRIES][HANDSHAKE_MESSAGE_MAX];
};

struct bench {
	struct virtq_state states[VRINGS];
	struct virtq vrings[VRINGS];
	struct console_record record;
	struct console_port ports[PORTS];
	struct console console;
	struct people people[PLUGGED];
};

static struct gmem gmem;
static struct ring *rings; /* of all vrings: the guest's memory */

/* ---- a state by itself ---- */

static void check_port(const struct state_port *port)
{
	must(port->id < STATE_PORTS_MAX && port->kind < STATE_KINDS);
	must(port->name_len <= HANDSHAKE_NAME_MAX && (port->name || port->name_len == 0));
	must(!(port->handshake.pending & ~HANDSHAKE_MESSAGES));
	must(port->name_len > 0 || !(port->handshake.pending & HANDSHAKE_NAME));
	must(port->handshake.known || !port->handshake.ready);
	must(port->handshake.ready || !port->handshake.open);
}

/* Writes a state to memory that is the caller's to free. */
static uint8_t *flatten(const struct state *state, size_t *ret_size)
{
	struct iovec pieces[STATE_PIECES_MAX];
	uint8_t *heads = malloc(state_size_max()), *bytes = malloc(state_size(state));
	unsigned int count;

	must(heads && bytes);
	count = state_write(state, heads, pieces);
	must(count <= STATE_PIECES_MAX);
	*ret_size = 0;
	for (unsigned int i = 0; i < count; i++) {
		must(pieces[i].iov_len > 0 && pieces[i].iov_len <= state_size(state) - *ret_size);
		memcpy(bytes + *ret_size, pieces[i].iov_base, pieces[i].iov_len);
		*ret_size += pieces[i].iov_len;
	}
	must(*ret_size == state_size(state));
	free(heads);
	return bytes;
}

static void check_state(const struct state *state, const uint8_t *bytes, size_t size)
{
	size_t again_size;
	uint8_t *again;

	must(state->ports_count <= STATE_PORTS_MAX);
	for (unsigned int i = 0; i < state->ports_count; i++) {
		check_port(&state->ports[i]);
		must(i == 0 || state->ports[i].id > state->ports[i - 1].id);
	}
	again = flatten(state, &again_size);
	must(again_size == size && memcmp(again, bytes, size) == 0);
	free(again);
}

/* ---- consoles ---- */

static void bench_init(struct bench *bench)
{
	static const char *const names[PLUGGED] = {NULL, "named", "data"};

	memset(bench, 0, sizeof(*bench));
	for (unsigned int i = 0; i < VRINGS; i++)
		virtq_init(&bench->vrings[i], &gmem, &bench->states[i]);
	console_init(&bench->console, &bench->record, bench->vrings, bench->ports, PORTS);
	for (unsigned int i = 0; i < PLUGGED; i++) {
		struct people *people = &bench->people[i];

		people_init(people, i == DATA_PORT, SPILL_BYTES);
		console_plug(&bench->console, i, &people->port,
		             i == DATA_PORT ? &people->spill : NULL, names[i]);
	}
	console_set_size(&bench->console, 1, 80, 25);
}

/* How much a port has of both that it has printed. */
static size_t printed(const struct bench *bench, unsigned int id)
{
	const struct people *people = &bench->people[id];

	return byte_ring_used(&people->port.output) + byte_ring_used(&people->spill);
}

/* What is saved, which is parsed: its bytes are the caller's to free. */
static uint8_t *save(struct bench *bench, struct state *ret, size_t *ret_size)
{
	struct state state;
	uint8_t *bytes;

	console_save(&bench->console, &state);
	must(console_holds_saved(&bench->console, &state));
	bytes = flatten(&state, ret_size);
	must(state_parse(bytes, *ret_size, ret) == STATE_OK);
	return bytes;
}

static void check_loaded(const struct state_port *from, const struct state_port *saved)
{
	size_t len = state_bytes_len(from, STATE_OUTPUT),
	       input = state_bytes_len(from, STATE_INPUT);
	size_t kept = state_bytes_len(saved, STATE_OUTPUT);
	const uint8_t *output = from->bytes[STATE_OUTPUT][0].iov_base;
	/* A console keeps the newest, a data port has all, some of it in its spill. */
	const uint8_t *same = from->kind == STATE_CONSOLE ? output + len - kept : output;

	must(saved->kind == from->kind && saved->name_len == from->name_len);
	must(from->name_len == 0 || memcmp(saved->name, from->name, from->name_len) == 0);
	must(state_bytes_len(saved, STATE_INPUT) == input);
	must(memcmp(saved->bytes[STATE_INPUT][0].iov_base, from->bytes[STATE_INPUT][0].iov_base,
	            input) == 0);
	if (from->kind == STATE_CONSOLE)
		must(kept == MIN(len, PEOPLE_OUTPUT_BYTES));
	else
		must(kept + state_bytes_len(saved, STATE_SPILL) ==
		     len + state_bytes_len(from, STATE_SPILL));
	must(memcmp(saved->bytes[STATE_OUTPUT][0].iov_base, same, MIN(len, kept)) == 0);
}

static const struct state_port *find(const struct state *state, uint32_t id)
{
	for (unsigned int i = 0; i < state->ports_count; i++) {
		if (state->ports[i].id == id)
			return &state->ports[i];
	}
	return NULL;
}

static void check_saved(const struct state *from, const struct state *saved)
{
	bool driver = from->driver_ready || from->driver_rests;
	unsigned int count = 0;

	must(saved->driver_ready == from->driver_ready);
	must(saved->driver_rests == from->driver_rests);
	must(saved->driver_stopped == from->driver_stopped);
	for (unsigned int i = 0; i < saved->ports_count; i++) {
		const struct state_port *now = &saved->ports[i], *before = find(from, now->id);

		count += before ? 1 : 0;
		must(!before || !(before->handshake.pending & ~now->handshake.pending));
		must(!before || before->handshake.open == now->handshake.open);
		if (before && before->kind != STATE_GONE)
			check_loaded(before, now);
		else if (driver && now->kind != STATE_GONE)
			must(now->handshake.pending & HANDSHAKE_ADD);
	}
	must(count == from->ports_count);
}

/* ---- the driver ---- */

static void memory_init(void)
{
	const struct gmem_region region = {GPA, VRINGS * sizeof(struct ring), UVA, 0};
	const struct gmem_limits limits = {1, UINT64_MAX};
	int fd = memfd_create("rings", MFD_CLOEXEC);

	must(fd >= 0 && ftruncate(fd, (off_t)region.size) == 0);
	rings = mmap(NULL, region.size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	must(rings != MAP_FAILED);
	gmem_init(&gmem, NULL);
	must(gmem_judge(&gmem, &region, fd, &limits) == GMEM_OK);
	must(gmem_map(&gmem, &region, fd) == 0);
}

/* Starts a ring with so many buffers of `len` bytes available. */
static void start(struct bench *bench, unsigned int vring, unsigned int count, size_t len)
{
	const uint64_t at = vring * sizeof(struct ring);
	const struct virtq_addresses addresses = {UVA + at + offsetof(struct ring, desc),
	                                          UVA + at + offsetof(struct ring, avail),
	                                          UVA + at + offsetof(struct ring, used)};
	struct ring *ring = &rings[vring];

	for (unsigned int i = 0; i < count; i++) {
		ring->desc[i].addr = le64_of(GPA + at + offsetof(struct ring, buffers[i]));
		ring->desc[i].len = le32_of((uint32_t)len);
		ring->desc[i].flags = le16_of(vring % 2 == 0 ? 2 : 0); /* to be written */
		ring->avail.ring[(BASE + i) % ENTRIES] = le16_of((uint16_t)i);
	}
	ring->avail.idx = le16_of((uint16_t)(BASE + count));
	ring->used.idx = le16_of(BASE);
	bench->states[vring].next_avail = BASE;
	must(virtq_start(&bench->vrings[vring], &addresses, ENTRIES, false));
	console_run(&bench->console, vring, FEATURES);
}

static void pump(struct bench *bench, unsigned int vring)
{
	struct port_outcome outcome = {.again = true};

	while (outcome.again)
		outcome = console_pump(&bench->console, vring);
	must(!bench->vrings[vring].broken);
}

/* It takes and opens each port, also one that isn't there. */
static void write_messages(void)
{
	for (unsigned int i = 0; i < 2 * PORTS; i++) {
		struct virtio_console_control message = {
		    .id = le32_of(i / 2),
		    .event = le16_of(i % 2 ? VIRTIO_CONSOLE_PORT_OPEN : VIRTIO_CONSOLE_PORT_READY),
		    .value = le16_of(1),
		};

		memcpy(rings[CONSOLE_CONTROL_TRANSMITQ].buffers[i], &message, sizeof(message));
	}
}

static void check_messages(const struct bench *bench)
{
	const struct ring *ring = &rings[CONSOLE_CONTROL_RECEIVEQ];
	unsigned int count = (uint16_t)(le16_get(ring->used.idx) - BASE);

	must(count < ENTRIES); /* or some may still wait */
	for (unsigned int i = 0; i < count; i++) {
		struct virtio_console_control message;

		memcpy(&message, ring->buffers[i], sizeof(message));
		must(le32_get(message.id) < PORTS);
		must(HANDSHAKE_MESSAGES >> le16_get(message.event) & 1);
	}
	for (unsigned int i = 0; i < PORTS; i++)
		must(bench->record.ports[i].pending == 0);
}

static void drive(struct bench *bench)
{
	size_t before = printed(bench, DATA_PORT), more;

	memset(rings, 0, VRINGS * sizeof(*rings));
	write_messages();
	for (unsigned int i = 0; i < VRINGS; i++) {
		if (i == CONSOLE_CONTROL_TRANSMITQ)
			start(bench, i, 2 * PORTS, sizeof(struct virtio_console_control));
		else
			start(bench, i, i % 2 ? 1 : ENTRIES, HANDSHAKE_MESSAGE_MAX);
	}
	/* First of all what it has still to be told, then what it says. */
	for (unsigned int k = 0; k < 2; k++) {
		for (unsigned int i = 0; i < VRINGS; i++)
			pump(bench, i);
	}
	pump(bench, CONSOLE_CONTROL_RECEIVEQ);
	check_messages(bench);
	for (unsigned int i = 0; i < PLUGGED; i++) {
		must(bench->record.ports[i].known && bench->record.ports[i].open);
		must(byte_ring_used(&bench->people[i].port.input) == 0);
	}
	/* A chain is taken whole, or waits for room. */
	more = printed(bench, DATA_PORT) - before;
	must(more == 0 || more == HANDSHAKE_MESSAGE_MAX);
	for (unsigned int i = 0; i < VRINGS; i++) {
		console_settle(&bench->console, i);
		console_note_stop(&bench->console, i);
	}
}

/* ---- one state ---- */

/* In pieces that are short, so that there are some. Returns whether it fits. */
static bool load(struct bench *bench, const struct state *state)
{
	struct console_loading loading;
	size_t dropped[PORTS];
	struct iovec used;

	if (console_load_begin(&bench->console, &loading, state))
		return false;
	while (console_load_more(&bench->console, &loading, 100, &used))
		must(used.iov_len <= state_size(state));
	must(!console_load_end(&bench->console, &loading, dropped));
	return true;
}

/* Once more, behind what is there: of a data port nothing is lost. */
static void load_more(struct bench *bench, const struct state *state)
{
	size_t before = printed(bench, DATA_PORT), len = 0;

	for (unsigned int i = 0; i < state->ports_count; i++) {
		const struct state_port *port = &state->ports[i];

		if (port->kind == STATE_DATA)
			len = state_bytes_len(port, STATE_OUTPUT) +
			      state_bytes_len(port, STATE_SPILL);
	}
	if (load(bench, state))
		must(printed(bench, DATA_PORT) == before + len);
}

static void use(const struct state *state)
{
	static struct bench one, other;
	struct state first, second;
	size_t first_size, second_size;
	uint8_t *bytes, *same;

	bench_init(&one);
	if (!load(&one, state))
		return;
	bytes = save(&one, &first, &first_size);
	check_saved(state, &first);
	bench_init(&other);
	must(load(&other, &first));
	same = save(&other, &second, &second_size);
	must(second_size == first_size && memcmp(same, bytes, first_size) == 0);
	load_more(&one, state);
	drive(&one);
	drive(&other);
	free(same);
	same = save(&other, &second, &second_size);
	free(same);
	free(bytes);
}

/* Lengths and numbers put right, so that a fuzzer's changes aren't all refused for those. */
static size_t mend(uint8_t *bytes, size_t size)
{
	size_t at = HEAD;
	uint32_t count = 0;
	le32 ports;
	le64 whole;

	for (; size - at >= PORT && count < STATE_PORTS_MAX; count++) {
		size_t left = size - at - PORT;
		uint8_t *name_len = bytes + at + PORT_NAME_LEN;

		*name_len = (uint8_t)MIN(*name_len, left);
		left -= *name_len;
		for (unsigned int i = 0; i < STATE_BYTES; i++) {
			uint8_t *field = bytes + at + PORT_LENGTHS + i * sizeof(le64);
			le64 len;

			memcpy(&len, field, sizeof(len));
			len = le64_of(MIN(le64_get(len), left));
			memcpy(field, &len, sizeof(len));
			left -= le64_get(len);
		}
		at = size - left;
	}
	ports = le32_of(count);
	whole = le64_of(at);
	memcpy(bytes + HEAD_PORTS, &ports, sizeof(ports));
	memcpy(bytes + HEAD_SIZE, &whole, sizeof(whole));
	return at;
}

static void try(const uint8_t *bytes, size_t size)
{
	struct state state;

	if (state_parse(bytes, size, &state) != STATE_OK)
		return;
	check_state(&state, bytes, size);
	use(&state);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *copy;

	if (!rings)
		memory_init();
	try(data, size);
	if (size < HEAD)
		return 0;
	copy = malloc(size);
	must(copy);
	memcpy(copy, data, size);
	try(copy, mend(copy, size));
	free(copy);
	return 0;
}
