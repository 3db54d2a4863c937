/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * File descriptors: closing them once, carrying them with a message, and telling their kinds.
 */
#ifndef BASE_FD_H
#define BASE_FD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The most descriptors a vhost-user message carries: one a region of SET_MEM_TABLE. */
#define FD_BAG_MAX 8

/*
 * Somebody who closes what a peer has sent, later and elsewhere. To close the last of a file can
 * take long: a socket lingers, a dead VMM's memory is given back page by page, a file system of
 * somebody's own is asked. To unmap what was touched takes long, too.
 */
struct fd_discarder {
	void (*discard)(struct fd_discarder *discarder, int fd);
	/* Whole pages, which nobody uses any more. */
	void (*unmap)(struct fd_discarder *discarder, void *map, size_t len);
};

/* The descriptors that came with one message. Whoever needs one takes it; the rest are closed. */
struct fd_bag {
	struct fd_discarder *discarder;
	int fd[FD_BAG_MAX];
	unsigned int count;
};

/* Closes *fd if it is open, and sets it to -1. errno stays as it was. */
void fd_close(int *fd);

/*
 * The same for what a peer has sent, or may have sent descriptors through: the discarder closes it.
 * NULL: it is closed here and now.
 */
void fd_discard(struct fd_discarder *discarder, int *fd);

/* The same for the mapping of a file. NULL: it is unmapped here and now. */
void fd_discard_map(struct fd_discarder *discarder, void *map, size_t len);

/* Moves the descriptor out of *fd, which becomes -1. */
int fd_take(int *fd);

/* Replaces *fd by `with`, closing what it held. */
void fd_replace(int *fd, int with);

/*
 * Opens /dev/null for each of the three standard descriptors that is closed, so that nothing else
 * is ever taken for one. Returns 0 or -errno.
 */
int fd_reserve_standard(void);

/* Sets O_NONBLOCK on the open file. Returns 0 or -errno. */
int fd_set_nonblock(int fd);

/* Empty. What is left in it will be the discarder's (NULL: closed at once). */
void fd_bag_init(struct fd_bag *bag, struct fd_discarder *discarder);

/* Takes descriptor `i` out of the bag; it is the caller's from then on. */
int fd_bag_take(struct fd_bag *bag, unsigned int i);

/* Discards whatever nobody took. */
void fd_bag_close(struct fd_bag *bag);

/* True for an eventfd, the only kind a vring may be kicked or called through. */
bool fd_is_eventfd(int fd);

/*
 * 1 for an eventfd that a read counts down by one instead of emptying it (EFD_SEMAPHORE), else 0;
 * -errno if that can't be looked at. Linux tells from 6.5 on; before, it is 0.
 */
int fd_counts_down(int fd);

/* True for a Unix stream socket. To write to one waits for nobody who uses it meanwhile. */
bool fd_is_unix_stream(int fd);

/*
 * True for a Unix stream socket of a pair (socketpair(2)). One that is connected to a listening
 * socket isn't: it may be a frontend's own end of the connection that it is passed through, and
 * whoever holds that never hears that the frontend has gone.
 */
bool fd_is_of_pair(int fd);

/*
 * Has a Unix stream socket take nothing more from its peer. False if something has come already, or
 * that can't be told: there may be descriptors in it, which would stay open as long as the socket.
 */
bool fd_end_input(int fd);

/*
 * True for what bytes can go through without a disk or a network: pipe, Unix stream socket of a
 * pair, file in memory. Nobody but the kernel is asked, here and in fd_inspect_memory().
 */
bool fd_is_channel(int fd);

/*
 * Looks at a file that is to be mapped as guest memory. It has to be a regular file that lives in
 * memory (memfd, tmpfs, hugetlbfs): a page fault on any other could wait for a disk or a network,
 * and all guests with it. Writes its size and the unit of its pages, both in bytes. Returns 0,
 * -EMEDIUMTYPE for another kind of file, or -errno.
 */
int fd_inspect_memory(int fd, uint64_t *ret_size, uint64_t *ret_page_size);

#endif
