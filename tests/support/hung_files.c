/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "hung_files.h"

#include "support.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#define REQUEST_MAX (256 * 1024)
#define FILE_NODE   2

/* The server. */

static void answer(int fuse, uint64_t unique, int error, const void *body, size_t len)
{
	struct fuse_out_header header = {
	    .len = (uint32_t)(sizeof(header) + len),
	    .error = error,
	    .unique = unique,
	};
	struct iovec parts[] = {{&header, sizeof(header)}, {(void *)body, len}};

	/* Not for what has been interrupted, or wants no answer. */
	if (writev(fuse, parts, 2) < 0 && errno != ENOENT)
		support_die("an answer is refused: %s", strerror(errno));
}

static struct fuse_attr attributes_of(uint64_t node)
{
	return (struct fuse_attr){
	    .ino = node,
	    .mode = node == FILE_NODE ? S_IFREG | 0600 : S_IFDIR | 0700,
	    .nlink = 1,
	    .uid = geteuid(),
	    .gid = getegid(),
	};
}

static void answer_init(int fuse, const struct fuse_in_header *in)
{
	struct fuse_init_out out = {
	    .major = FUSE_KERNEL_VERSION,
	    .minor = FUSE_KERNEL_MINOR_VERSION,
	    .max_write = 128 * 1024,
	};

	answer(fuse, in->unique, 0, &out, sizeof(out));
}

static void hang(int told)
{
	if (write(told, "", 1) < 0)
		_exit(1);
	while (true)
		pause();
}

static void answer_request(int fuse, int told, const struct fuse_in_header *in)
{
	struct fuse_entry_out entry = {.nodeid = FILE_NODE, .attr = attributes_of(FILE_NODE)};
	struct fuse_attr_out attributes = {.attr = attributes_of(in->nodeid)};
	struct fuse_open_out opened = {0};

	switch (in->opcode) {
	case FUSE_LOOKUP:
		answer(fuse, in->unique, 0, &entry, sizeof(entry));
		break;
	case FUSE_GETATTR:
	case FUSE_SETATTR:
		answer(fuse, in->unique, 0, &attributes, sizeof(attributes));
		break;
	case FUSE_OPEN:
		answer(fuse, in->unique, 0, &opened, sizeof(opened));
		break;
	case FUSE_FLUSH:
	case FUSE_RELEASE:
		answer(fuse, in->unique, 0, NULL, 0);
		break;
	case FUSE_WRITE:
		hang(told);
		break;
	default:
		answer(fuse, in->unique, -ENOSYS, NULL, 0);
	}
}

static __attribute__((noreturn)) void serve(int fuse, int told, enum hung_files_from from)
{
	static union {
		struct fuse_in_header header;
		char bytes[REQUEST_MAX];
	} in;

	while (true) {
		if (read(fuse, &in, sizeof(in)) < 0 && errno == ENODEV)
			_exit(0);
		if (in.header.opcode == FUSE_INIT)
			answer_init(fuse, &in.header);
		else if (from == HUNG_FROM_THE_BEGINNING)
			hang(told);
		else if (in.header.opcode != FUSE_FORGET && in.header.opcode != FUSE_BATCH_FORGET &&
		         in.header.opcode != FUSE_INTERRUPT)
			answer_request(fuse, told, &in.header);
	}
}

/* The other end. */

static bool give_up(const char *what)
{
	fprintf(stderr, "no file system of our own: %s: %s\n", what, strerror(errno));
	return false;
}

static bool mount_at(const char *folder, int fuse)
{
	char options[128];

	snprintf(options, sizeof(options), "fd=%d,rootmode=40000,user_id=%u,group_id=%u", fuse,
	         geteuid(), getegid());
	return mount("fuse", folder, "fuse", MS_NOSUID | MS_NODEV, options) == 0;
}

/* Nobody else is to run into it. */
static bool be_alone(void)
{
	if (unshare(CLONE_NEWNS) < 0 && unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0)
		return false;
	return mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0;
}

bool hung_files_begin(struct hung_files *files, enum hung_files_from from)
{
	int fuse = open("/dev/fuse", O_RDWR | O_CLOEXEC), ends[2];

	if (fuse < 0)
		return give_up("/dev/fuse");
	if (!be_alone()) {
		close(fuse);
		return give_up("a mount namespace");
	}
	snprintf(files->folder, sizeof(files->folder), "/tmp/hung.XXXXXX");
	if (!mkdtemp(files->folder))
		support_die("%s: %s", files->folder, strerror(errno));
	snprintf(files->file, sizeof(files->file), "%s/log", files->folder);
	if (!mount_at(files->folder, fuse)) {
		close(fuse);
		rmdir(files->folder);
		return give_up("mount");
	}
	if (pipe2(ends, O_CLOEXEC) < 0)
		support_die("pipe2: %s", strerror(errno));
	files->hangs = ends[0];
	files->server = fork();
	if (files->server == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		serve(fuse, ends[1], from);
	}
	close(fuse);
	close(ends[1]);
	if (files->server < 0)
		support_die("fork: %s", strerror(errno));
	return true;
}

void hung_files_end(struct hung_files *files)
{
	kill(files->server, SIGKILL);
	waitpid(files->server, NULL, 0);
	close(files->hangs);
	umount2(files->folder, MNT_DETACH);
	rmdir(files->folder);
}
