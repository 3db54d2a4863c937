/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

void files_init(struct files *files)
{
	files->count = 0;
}

static void close_entry(struct files_entry *entry)
{
	close_fd(&entry->fd);
	close_fd(&entry->other);
}

void files_deinit(struct files *files)
{
	while (files->count > 0)
		close_entry(&files->entries[--files->count]);
}

static int open_memfd(struct files_entry *entry, uint64_t size)
{
	entry->fd = memfd_create("conversation", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (entry->fd < 0)
		return -errno;
	return ftruncate(entry->fd, (off_t)size) < 0 ? -errno : 0;
}

static int open_pair(struct files_entry *entry, int r, const int pair[2])
{
	if (r < 0)
		return -errno;
	entry->fd = pair[0];
	entry->other = pair[1];
	return 0;
}

static int open_kind(struct files_entry *entry, const struct conversation_step *step)
{
	int pair[2], r;

	switch (step->file_kind) {
	case CONVERSATION_MEMFD:
		return open_memfd(entry, step->number);
	case CONVERSATION_EVENTFD:
		entry->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		return entry->fd < 0 ? -errno : 0;
	case CONVERSATION_PIPE:
		r = pipe2(pair, O_CLOEXEC | O_NONBLOCK);
		/* pipe2() has the end to read from first */
		return open_pair(entry, r, (const int[2]){pair[1], pair[0]});
	default:
		r = socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair);
		r = open_pair(entry, r, pair);
		if (step->file_kind == CONVERSATION_CLOSED)
			close_fd(&entry->other);
		return r;
	}
}

int files_open(struct files *files, const struct conversation_step *step)
{
	struct files_entry entry = {-1, -1};
	int r = open_kind(&entry, step);

	if (r < 0) {
		close_entry(&entry);
		return r;
	}
	files->entries[files->count++] = entry;
	return 0;
}

static uint64_t size_of(int fd)
{
	struct stat st;

	return fstat(fd, &st) < 0 ? 0 : (uint64_t)st.st_size;
}

/* Not beyond the file's end: writing there would make it longer. */
static void write_bytes(int fd, const struct conversation_step *step)
{
	uint64_t size = size_of(fd);

	if (step->len == 0 || step->number > size || step->len > size - step->number)
		return;
	if (pwrite(fd, step->bytes, step->len, (off_t)step->number) < 0)
		return; /* no memory for it: as if the guest had none */
}

static void kick(int fd)
{
	const uint64_t one = 1;

	if (write(fd, &one, sizeof(one)) < 0)
		return; /* it can't count any higher: it is signalled */
}

void files_do(struct files *files, const struct conversation_step *step)
{
	struct files_entry *entry = &files->entries[step->file];

	if (step->kind == CONVERSATION_CLOSE)
		close_entry(entry);
	if (entry->fd < 0)
		return;
	if (step->kind == CONVERSATION_WRITE)
		write_bytes(entry->fd, step);
	else if (step->kind == CONVERSATION_KICK)
		kick(entry->fd);
	else if (step->kind == CONVERSATION_TRUNCATE &&
	         ftruncate(entry->fd, (off_t)step->number) < 0)
		return; /* the system is out of memory: it stays as it was */
}

bool files_take_signal(struct files *files, unsigned int file)
{
	uint64_t count;
	int fd = files->entries[file].fd;

	return fd >= 0 && read(fd, &count, sizeof(count)) == (ssize_t)sizeof(count);
}

bool files_match(const struct conversation_step *step, const uint8_t *got, uint32_t len)
{
	if (len < step->len)
		return false;
	for (uint32_t i = 0; i < step->len; i++) {
		uint8_t mask = step->mask ? step->mask[i] : 0xff;

		if ((got[i] ^ step->bytes[i]) & mask)
			return false;
	}
	return true;
}

bool files_have(const struct files *files, const struct conversation_step *step)
{
	uint8_t *got = malloc(step->len + 1);
	int fd = files->entries[step->file].fd;
	bool same;

	same = got && fd >= 0 &&
	       pread(fd, got, step->len, (off_t)step->number) == (ssize_t)step->len &&
	       files_match(step, got, step->len);
	free(got);
	return same;
}
