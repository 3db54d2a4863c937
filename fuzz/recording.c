/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "recording.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SET_FEATURES          2u
#define SET_PROTOCOL_FEATURES 16u

void recording_init(struct recording *recording)
{
	conversation_init(&recording->conversation);
	recording->full = false;
}

void recording_deinit(struct recording *recording)
{
	for (unsigned int i = 0; i < recording->conversation.files; i++) {
		if (recording->files[i].held >= 0)
			close(recording->files[i].held);
	}
	conversation_deinit(&recording->conversation);
}

/* All eventfds are one inode; the kernel tells them apart by a number in fdinfo. */
static uint64_t eventfd_number(int fd)
{
	static const char key[] = "eventfd-id:";
	char path[64], line[128];
	uint64_t number = 0;
	FILE *info;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	info = fopen(path, "r");
	while (info && fgets(line, sizeof(line), info)) {
		if (strncmp(line, key, sizeof(key) - 1) == 0)
			number = strtoull(line + sizeof(key) - 1, NULL, 10);
	}
	if (info)
		fclose(info);
	return number;
}

static bool is_eventfd(int fd)
{
	char path[64], target[64];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	n = readlink(path, target, sizeof(target) - 1);
	target[n > 0 ? n : 0] = '\0';
	return strcmp(target, "anon_inode:[eventfd]") == 0;
}

/* What can be replayed of a file: a device or a terminal becomes a pipe, which is no memory too. */
static struct recording_file look_at(int fd, uint64_t *ret_size)
{
	struct recording_file file = {.kind = CONVERSATION_PIPE, .held = -1};
	struct stat st;

	*ret_size = 0;
	if (fstat(fd, &st) < 0)
		return file;
	file.device = st.st_dev;
	file.number = st.st_ino;
	if (is_eventfd(fd)) {
		file.kind = CONVERSATION_EVENTFD;
		file.number = eventfd_number(fd);
	} else if (S_ISREG(st.st_mode)) {
		file.kind = CONVERSATION_MEMFD;
		*ret_size = (uint64_t)st.st_size;
	} else if (S_ISSOCK(st.st_mode)) {
		file.kind = CONVERSATION_SOCKET;
	}
	return file;
}

/* The file's index in the conversation, to which it is added if it is new. */
static bool find_or_add(struct recording *recording, int fd, unsigned int *ret)
{
	struct conversation *conversation = &recording->conversation;
	uint64_t size;
	struct recording_file file = look_at(fd, &size);
	char name[CONVERSATION_NAME_MAX + 1];

	for (*ret = 0; *ret < conversation->files; ++*ret) {
		const struct recording_file *known = &recording->files[*ret];

		if (known->kind == file.kind && known->device == file.device &&
		    known->number == file.number)
			return true;
	}
	snprintf(name, sizeof(name), "%s-%u", conversation_file_kind_name(file.kind), *ret);
	if (!conversation_add_file(conversation, file.kind, name, size))
		return false;
	if (file.kind == CONVERSATION_EVENTFD)
		file.held = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	recording->files[*ret] = file;
	return true;
}

/* The next step; once there is no room for one, none follows. */
static struct conversation_step *add(struct recording *recording, enum conversation_kind kind)
{
	struct conversation_step *step = NULL;

	if (!recording->full)
		step = conversation_add(&recording->conversation, kind);
	recording->full = !step;
	return step;
}

/* What the frontend takes, a backend has to offer. */
static void add_needs(struct recording *recording, const struct frame *frame)
{
	enum conversation_kind kind = frame->request == SET_FEATURES
	                                  ? CONVERSATION_NEEDS_FEATURES
	                                  : CONVERSATION_NEEDS_PROTOCOL_FEATURES;
	struct conversation_step *step;

	if (frame->request != SET_FEATURES && frame->request != SET_PROTOCOL_FEATURES)
		return;
	step = add(recording, kind);
	if (step)
		step->number = frame_u64(frame);
}

void recording_message(struct recording *recording, const struct frame *frame)
{
	struct conversation_step *step;
	uint8_t fds[FRAME_FDS_MAX];

	if (recording->full)
		return;
	for (unsigned int i = 0; i < frame->fds_count; i++) {
		unsigned int file;

		if (!find_or_add(recording, frame->fds[i], &file)) {
			recording->full = true;
			return;
		}
		fds[i] = (uint8_t)file;
	}
	add_needs(recording, frame);
	step = add(recording, CONVERSATION_SEND);
	if (!step)
		return;
	step->request = frame->request;
	step->flags = frame->flags;
	step->size = frame->size;
	memcpy(step->fds, fds, frame->fds_count);
	step->fds_count = frame->fds_count;
	conversation_append(step, frame->payload, frame->size);
}

/* The last request that was sent, if nothing but files followed. */
static bool was_last(const struct recording *recording, uint32_t request)
{
	const struct conversation *conversation = &recording->conversation;
	const struct conversation_step *last =
	    conversation->count > 0 ? &conversation->steps[conversation->count - 1] : NULL;

	return last && last->kind == CONVERSATION_SEND && last->request == request;
}

static bool is_question(uint32_t request)
{
	const char *name = conversation_request_name(request);

	return name && strncmp(name, "GET_", 4) == 0;
}

void recording_answer(struct recording *recording, const struct frame *frame)
{
	bool is_ack = !is_question(frame->request) && frame->size == 8 && frame->flags == 5 &&
	              was_last(recording, frame->request);
	struct conversation_step *step =
	    add(recording, is_ack ? CONVERSATION_EXPECT_ACK : CONVERSATION_EXPECT_REPLY);

	if (!step)
		return;
	if (is_ack) {
		step->number = frame_u64(frame);
		return;
	}
	step->request = frame->request;
	step->flags = frame->flags;
	step->size = frame->size;
	conversation_append(step, frame->payload, frame->size);
	if (is_question(frame->request))
		conversation_set_mask(step, 0);
}

void recording_event(struct recording *recording, enum conversation_kind kind)
{
	add(recording, kind);
}
