/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What a telnet client sends, in pieces, while the guest prints the same bytes. The input's first
 * byte says how long the pieces are; its highest bit, whether BREAK is sysrq, the one below,
 * whether it is a data port's client. Each piece is given exactly the room that it is promised.
 */
#include "target.h"

#include "backends/telnet_codec.h"
#include "base/macros.h"
#include "loop/loop.h"

#include <string.h>

#define RING 4096u

static struct {
	struct loop *loop;
	struct loop_scope scope;
	struct output output;
	struct backend_device device;
	struct byte_ring_state output_state, input_state;
	uint8_t output_memory[RING], input_memory[RING];
	struct byte_ring input;
	struct telnet_codec_user user;
} bench;

static void on_wake(struct reader *reader)
{
	(void)reader;
}

static void on_pump(struct backend_device *device)
{
	(void)device;
}

static void on_resized(struct telnet_codec_user *user, uint16_t cols, uint16_t rows)
{
	(void)user, (void)cols, (void)rows;
}

/* The output's clock is the loop's, so there has to be one; nothing is ever armed on it. */
static void bench_init(void)
{
	const struct loop_config config = {.entries = 8, .cq_entries = 16};

	must(loop_new(&bench.loop, &config) == 0);
	loop_scope_init(&bench.scope, bench.loop, NULL);
	bench.device.pump = on_pump;
	bench.user.resized = on_resized;
}

static void rings_init(void)
{
	memset(&bench.output_state, 0, sizeof(bench.output_state));
	memset(&bench.input_state, 0, sizeof(bench.input_state));
	bench.output = (struct output){.port.device = &bench.device};
	byte_ring_init(&bench.output.port.output, &bench.output_state, bench.output_memory, RING);
	byte_ring_init(&bench.input, &bench.input_state, bench.input_memory, RING);
	output_init(&bench.output, &bench.scope);
}

/* Sends all that the client is to be sent: what has been printed, escaped, and answers. */
static void deliver(struct stage *stage)
{
	static uint8_t client[1u << 16];
	void *rest;
	size_t len;

	stage_fill(stage);
	len = stage_rest(stage, &rest);
	must(len <= sizeof(client));
	if (len > 0)
		memcpy(client, rest, len);
	stage_delivered(stage, len);
}

/*
 * A piece from the client, into a ring that has room for as many bytes and no more: none is put
 * beyond it, and none more ever comes out. False once the client isn't served any more.
 */
static bool receive(struct telnet_codec *codec, const uint8_t *bytes, size_t len)
{
	static const uint8_t before[RING];
	struct byte_ring *input = &bench.input;
	const char *why;

	byte_ring_put(input, before, RING - len);
	why = telnet_codec_receive(codec, bytes, len, input);
	must(!why || strcmp(why, "it asks and doesn't listen") == 0);
	byte_ring_drop(input, RING - len);
	must(byte_ring_used(input) <= len);
	byte_ring_drop(input, byte_ring_used(input));
	return !why;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct reader reader;
	struct telnet_codec_config config;
	struct telnet_codec *codec;
	size_t piece;

	if (len < 1)
		return 0;
	if (!bench.loop)
		bench_init();
	rings_init();
	reader_init(&reader, &bench.output, on_wake);
	config = (struct telnet_codec_config){.break_is_sysrq = bytes[0] & 0x80,
	                                      .data = bytes[0] & 0x40};
	codec = telnet_codec_new(&reader, &bench.user, &config);
	must(codec);
	piece = (bytes[0] & 0x3f) + 1u;
	for (size_t at = 1, n; at < len; at += n) {
		n = MIN(piece, len - at);
		if (!receive(codec, bytes + at, n))
			break;
		byte_ring_overwrite(&bench.output.port.output, bytes + at, n);
		/* A client that reads only now and then. */
		if (at % 3 == 0)
			deliver(telnet_codec_stage(codec));
	}
	deliver(telnet_codec_stage(codec));
	telnet_codec_free(codec);
	reader_deinit(&reader);
	return 0;
}
