/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A ring in guest memory, walked by the device while a second thread changes the memory under it.
 *
 * Input: a byte each for the ring's size (its logarithm), the features, the low and the high byte
 * of the index it begins at, and the number of changes; each change a 16-bit place and a 16-bit
 * value; then pieces of memory, each a 16-bit place, a byte for the length, the bytes. See
 * seeds_targets.py for where the parts of the ring are.
 *
 * The changes make a run differ from the next of the same input: what is found may take several.
 */
#include "target.h"

#include "base/macros.h"
#include "virtqueue/virtq.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define GPA         0x40000000ull
#define UVA         0x7f1200000000ull
#define OFFSET      0x3000u
#define MEMORY      0x10000u
#define DESC        0x0u
#define AVAIL       0x1000u
#define USED        0x2000u
#define SIZE_LOG    6u /* of the largest ring */
#define CHAINS_MAX  200u
#define PIECES_MAX  400u
#define CHANGES_MAX 255u

struct change {
	uint16_t at, value;
};

struct input {
	uint8_t size_log;
	uint64_t features;
	uint16_t base;
	unsigned int changes;
	struct change change[CHANGES_MAX];
};

static struct {
	int fd;
	uint8_t *driver; /* the driver's own mapping of the memory */
	struct gmem gmem;
	_Atomic bool walking;
	struct input input;
	uint8_t sum; /* of bytes read, so that they are */
} bench = {.fd = -1};

static void bench_init(void)
{
	const struct gmem_region region = {GPA, MEMORY, UVA, OFFSET};
	const struct gmem_limits limits = {1, MEMORY};
	int fd = memfd_create("ring", MFD_CLOEXEC);

	must(fd >= 0 && ftruncate(fd, OFFSET + MEMORY) == 0);
	bench.driver = mmap(NULL, MEMORY, PROT_READ | PROT_WRITE, MAP_SHARED, fd, OFFSET);
	must(bench.driver != MAP_FAILED);
	gmem_init(&bench.gmem, NULL);
	must(gmem_judge(&bench.gmem, &region, fd, &limits) == GMEM_OK);
	must(gmem_map(&bench.gmem, &region, fd) == 0);
	bench.fd = fd;
}

/* ---- input ---- */

struct reader {
	const uint8_t *at, *end;
};

static uint8_t get8(struct reader *reader)
{
	return reader->at < reader->end ? *reader->at++ : 0;
}

static uint16_t get16(struct reader *reader)
{
	uint8_t low = get8(reader);

	return (uint16_t)(low | get8(reader) << 8);
}

static void fill_memory(struct reader *reader)
{
	memset(bench.driver, 0, MEMORY);
	while (reader->at < reader->end) {
		uint16_t at = get16(reader);
		size_t len = get8(reader);

		len = MIN(len, (size_t)(reader->end - reader->at));
		len = MIN(len, MEMORY - at);
		memcpy(bench.driver + at, reader->at, len);
		reader->at += len;
	}
}

static void read_input(const uint8_t *bytes, size_t len)
{
	struct reader reader = {bytes, bytes + len};
	struct input *input = &bench.input;

	input->size_log = get8(&reader) % (SIZE_LOG + 1);
	input->features = (uint64_t)(get8(&reader) & 3) << 28;
	input->base = get16(&reader);
	input->changes = get8(&reader);
	for (unsigned int i = 0; i < input->changes; i++) {
		input->change[i].at = get16(&reader);
		input->change[i].value = get16(&reader);
	}
	fill_memory(&reader);
}

/* ---- the driver that changes its mind ---- */

static void *change_memory(void *arg)
{
	const struct input *input = arg;

	while (atomic_load_explicit(&bench.walking, memory_order_relaxed)) {
		for (unsigned int i = 0; i < input->changes; i++) {
			uint16_t at = input->change[i].at & 0xfffe;
			uint16_t *place = (uint16_t *)(void *)(bench.driver + at);
			uint16_t before = __atomic_load_n(place, __ATOMIC_RELAXED);

			__atomic_store_n(place, input->change[i].value, __ATOMIC_RELAXED);
			__atomic_store_n(place, before, __ATOMIC_RELAXED);
		}
	}
	return NULL;
}

/* ---- the device ---- */

/* Uses the bytes that are said to be there: as a device that prints, or that is typed to. */
static void use(const struct virtq_chain *chain, uint8_t *bytes, size_t len)
{
	const uint8_t *start = bench.gmem.mappings[0].host;
	uint8_t sum = 0;

	must(bytes >= start && len > 0 && (size_t)(bytes - start) <= MEMORY - len);
	for (size_t i = 0; i < len; i++)
		sum = (uint8_t)(sum + bytes[i]);
	bench.sum = sum;
	if (chain->writable)
		memset(bytes, 0x5a, MIN(len, 16));
}

/* Walks a chain of one direction. False if the ring is broken. */
static bool walk(struct virtq *vq, struct virtq_chain *chain, bool writable)
{
	enum virtq_result r = VIRTQ_OK;
	uint64_t rest;

	chain->budget = 100;
	rest = virtq_chain_rest(vq, chain, writable, MEMORY);
	must(rest <= MEMORY);
	chain->budget = 100;
	for (unsigned int pieces = 0; pieces < PIECES_MAX && r == VIRTQ_OK; pieces++) {
		void *bytes;
		size_t len;

		r = virtq_chain_ready(vq, chain, writable);
		if (r == VIRTQ_OK)
			r = virtq_chain_next(vq, chain, 700, &bytes, &len);
		if (r == VIRTQ_OK)
			use(chain, bytes, len);
	}
	return r != VIRTQ_BROKEN;
}

static void work(struct virtq *vq)
{
	for (unsigned int i = 0; i < CHAINS_MAX; i++) {
		struct virtq_chain chain;
		enum virtq_result r = virtq_peek(vq, &chain);

		virtq_kicks_off(vq);
		if (r == VIRTQ_END && !virtq_kicks_on(vq))
			break;
		if (r == VIRTQ_BROKEN || (r == VIRTQ_OK && !walk(vq, &chain, i % 2)))
			break;
		if (r == VIRTQ_OK)
			virtq_push(vq, &chain);
		virtq_publish(vq);
	}
	if (vq->broken) {
		struct virtq_chain chain;

		must(virtq_peek(vq, &chain) == VIRTQ_BROKEN);
	}
}

static void run(const struct input *input)
{
	const struct virtq_addresses addresses = {UVA + DESC, UVA + AVAIL, UVA + USED};
	struct virtq_state state = {.next_avail = input->base};
	struct virtq vq;

	virtq_init(&vq, &bench.gmem, &state);
	virtq_set_features(&vq, input->features);
	must(virtq_start(&vq, &addresses, (uint16_t)(1u << input->size_log), false));
	work(&vq);
	virtq_stop(&vq);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	pthread_t thread;
	bool changing;

	if (bench.fd < 0)
		bench_init();
	read_input(bytes, len);
	changing = bench.input.changes > 0;
	atomic_store(&bench.walking, true);
	if (changing)
		must(pthread_create(&thread, NULL, change_memory, &bench.input) == 0);
	run(&bench.input);
	atomic_store(&bench.walking, false);
	if (changing)
		pthread_join(thread, NULL);
	must(!bench.gmem.lost);
	return 0;
}
