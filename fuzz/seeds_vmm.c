/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Writes what each VMM says to a console in its life, as conversations: the sequences of
 * tests/support/vmm_sequences.c are played to a backend that does nothing but answer, and recorded.
 */
#include "recording.h"

#include "console_driver.h"
#include "frontend.h"
#include "guest_memory.h"
#include "support.h"
#include "vmm_sequences.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What a console backend offers at most. */
#define FEATURES          (1ull << 0 | 1ull << 2 | 7ull << 28 | 1ull << 32 | 1ull << 35)
#define PROTOCOL_FEATURES 0x8229u
#define MEM_SLOTS         64u
#define VRINGS            4u

struct listener {
	struct recording recording;
	int sock;
	bool acks; /* REPLY_ACK was negotiated */
	struct frame frame;
};

static void answer(struct listener *listener, const void *payload, uint32_t size)
{
	struct frame reply = {.request = listener->frame.request, .flags = 5, .size = size};
	const uint32_t header[] = {reply.request, reply.flags, reply.size};

	memcpy(reply.payload, payload, size);
	if (frame_send(listener->sock, header, sizeof(header), NULL, 0, 1000) != FRAME_OK ||
	    frame_send(listener->sock, payload, size, NULL, 0, 1000) != FRAME_OK)
		support_die("an answer can't be sent");
	recording_answer(&listener->recording, &reply);
}

/* The answer to a question that has one of 8 bytes. */
static uint64_t value_of(const struct frame *frame)
{
	switch (frame->request) {
	case FE_GET_FEATURES:
		return FEATURES;
	case FE_GET_PROTOCOL_FEATURES:
		return PROTOCOL_FEATURES;
	case FE_GET_QUEUE_NUM:
		return VRINGS;
	case FE_GET_MAX_MEM_SLOTS:
		return MEM_SLOTS;
	default: /* GET_VRING_BASE: the vring, and 0 */
		return frame_u64(frame) & 0xffffffff;
	}
}

static void take_message(struct listener *listener)
{
	const struct frame *frame = &listener->frame;
	const uint64_t done = 0;
	uint64_t value;

	if (frame->request == FE_SET_PROTOCOL_FEATURES)
		listener->acks = frame_u64(frame) >> FE_PROTOCOL_REPLY_ACK & 1;
	if (frame->request == FE_GET_CONFIG) {
		answer(listener, frame->payload, frame->size);
	} else if (conversation_answer_is_u64(frame->request)) {
		value = value_of(frame);
		answer(listener, &value, sizeof(value));
	} else if (listener->acks && (frame->flags & FE_FLAG_NEED_REPLY)) {
		answer(listener, &done, sizeof(done));
	}
}

/* Both sides are one thread: while the frontend waits, what it has sent is taken. */
static void turn(struct frontend *frontend)
{
	struct listener *listener = frontend->turn_arg;

	while (frame_waits(listener->sock, 0)) {
		if (frame_receive(listener->sock, &listener->frame, 1000) != FRAME_OK)
			return;
		recording_message(&listener->recording, &listener->frame);
		frame_close_fds(&listener->frame);
		take_message(listener);
	}
}

static void add_needs(struct listener *listener)
{
	struct conversation *conversation = &listener->recording.conversation;

	conversation_add(conversation, CONVERSATION_NEEDS_CONSOLE);
	conversation_add(conversation, CONVERSATION_NEEDS_VRINGS)->number = VRINGS;
}

static void play(struct console_driver *console)
{
	static const enum vmm_phase life[] = {VMM_CONNECT, VMM_START, VMM_CONFIG,  VMM_STOP,
	                                      VMM_RESUME,  VMM_RESET, VMM_RESTART, VMM_CONFIG};

	for (size_t i = 0; i < sizeof(life) / sizeof(life[0]); i++) {
		if (console->vmm->phase[life[i]] && !console_driver_play(console, life[i]))
			support_die("%s can't be played", vmm_phase_name(life[i]));
		frontend_await_read(console->frontend);
	}
}

/* "Cloud Hypervisor" is in cloud-hypervisor.txt. */
static FILE *open_output(const char *folder, const char *name)
{
	char path[4096];
	int len =
	    snprintf(path, sizeof(path), "%s/%.*s.txt", folder, (int)strcspn(name, "."), name);
	FILE *file;

	if (len >= (int)sizeof(path))
		support_die("too long a path: %s", folder);
	for (char *at = path + strlen(folder) + 1; *at != '.'; at++)
		*at = isalnum((unsigned char)*at) ? (char)tolower(*at) : '-';
	file = fopen(path, "w");
	if (!file)
		support_die("%s: %s", path, strerror(errno));
	return file;
}

static void write_vmm(const char *folder, const struct vmm *vmm)
{
	static struct listener listener;
	static struct console_driver console;
	const struct console_driver_options options = {.vmm = vmm, .vrings = VRINGS};
	struct frontend frontend;
	struct guest_memory memory;
	FILE *file = open_output(folder, vmm->name);

	listener = (struct listener){.sock = frontend_init_pair(&frontend)};
	frontend.turn = turn;
	frontend.turn_arg = &listener;
	recording_init(&listener.recording);
	add_needs(&listener);
	guest_memory_init(&memory);
	console_driver_init(&console, &frontend, &memory, &options);
	play(&console);
	fprintf(file,
	        "# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause\n"
	        "# What %s says to a console: connect, start, pause, reset, start again.\n"
	        "# Made by fuzz/seeds_vmm.c out of tests/support/vmm_sequences.c, which names the "
	        "source.\n",
	        vmm->name);
	conversation_print(&listener.recording.conversation, file);
	if (fclose(file) != 0)
		support_die("%s can't be written", vmm->name);
	recording_deinit(&listener.recording);
	console_driver_deinit(&console);
	guest_memory_deinit(&memory);
	frontend_deinit(&frontend);
	close(listener.sock);
}

int main(int argc, char **argv)
{
	if (argc != 2) {
		fprintf(stderr, "usage: seeds_vmm FOLDER\n");
		return 2;
	}
	for (const struct vmm *const *vmm = vmm_all; *vmm; vmm++)
		write_vmm(argv[1], *vmm);
	return 0;
}
