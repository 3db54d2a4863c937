/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "frame.h"

#include <errno.h>
#include <linux/sockios.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

uint64_t frame_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* Waits for the events until `end`. */
static bool await(int fd, short events, uint64_t end)
{
	for (;;) {
		struct pollfd pollfd = {.fd = fd, .events = events};
		uint64_t now = frame_now_ms();
		int r = poll(&pollfd, 1, now < end ? (int)(end - now) : 0);

		if (r != 0 && !(r < 0 && errno == EINTR))
			return r > 0;
		if (now >= end)
			return false;
	}
}

int frame_connect(const char *path, unsigned int deadline_ms)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	uint64_t end = frame_now_ms() + deadline_ms;
	int sock, r;

	if (strlen(path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	memcpy(address.sun_path, path, strlen(path) + 1);
	sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (sock < 0)
		return -errno;
	for (;;) {
		if (connect(sock, (struct sockaddr *)&address, sizeof(address)) == 0)
			return sock;
		r = -errno;
		/* Not there yet, or its queue is full: no event tells when that changes. */
		if ((r != -ENOENT && r != -ECONNREFUSED && r != -EAGAIN && r != -EINTR) ||
		    frame_now_ms() >= end)
			break;
		poll(NULL, 0, 2);
	}
	close(sock);
	return r;
}

static ssize_t send_some(int sock, const uint8_t *bytes, size_t len, const int *fds,
                         unsigned int fds_count)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(FRAME_FDS_MAX * sizeof(int))];
	struct iovec iov = {(uint8_t *)bytes, len};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
	struct cmsghdr *cmsg;

	if (fds_count > 0) {
		memset(control, 0, sizeof(control));
		msg.msg_control = control;
		msg.msg_controllen = CMSG_SPACE(fds_count * sizeof(int));
		cmsg = CMSG_FIRSTHDR(&msg);
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(fds_count * sizeof(int));
		memcpy(CMSG_DATA(cmsg), fds, fds_count * sizeof(int));
	}
	return sendmsg(sock, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
}

enum frame_result frame_send(int sock, const void *bytes, size_t len, const int *fds,
                             unsigned int fds_count, unsigned int deadline_ms)
{
	uint64_t end = frame_now_ms() + deadline_ms;
	const uint8_t *at = bytes;

	while (len > 0) {
		ssize_t n = send_some(sock, at, len, fds, fds_count);

		if (n < 0 && errno == EAGAIN && !await(sock, POLLOUT, end))
			return FRAME_LATE;
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return FRAME_CLOSED;
		if (n <= 0)
			continue;
		fds_count = 0;
		at += n;
		len -= (size_t)n;
	}
	return FRAME_OK;
}

bool frame_is_taken(int sock, unsigned int deadline_ms)
{
	uint64_t end = frame_now_ms() + deadline_ms;
	int unread;

	/* There is no event for it; this is asked only between the parts of a split message. */
	while (ioctl(sock, SIOCOUTQ, &unread) == 0 && unread > 0) {
		if (frame_now_ms() >= end)
			return false;
		poll(NULL, 0, 1);
	}
	return true;
}

/* Keeps the descriptors that came, and closes those that are too many. */
static void take_fds(struct msghdr *msg, struct frame *frame)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < (c->cmsg_len - CMSG_LEN(0)) / sizeof(int); i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(fd), sizeof(fd));
			if (frame->fds_count < FRAME_FDS_MAX)
				frame->fds[frame->fds_count++] = fd;
			else
				close(fd);
		}
	}
}

static enum frame_result receive_exactly(int sock, void *bytes, size_t len, struct frame *frame,
                                         uint64_t end)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(FRAME_FDS_MAX * sizeof(int))];
	uint8_t *at = bytes;

	while (len > 0) {
		struct iovec iov = {at, len};
		struct msghdr msg = {.msg_iov = &iov,
		                     .msg_iovlen = 1,
		                     .msg_control = control,
		                     .msg_controllen = sizeof(control)};
		ssize_t n = recvmsg(sock, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

		if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
			return FRAME_CLOSED;
		if (n < 0 && !await(sock, POLLIN, end))
			return FRAME_LATE;
		if (n < 0)
			continue;
		take_fds(&msg, frame);
		at += n;
		len -= (size_t)n;
	}
	return FRAME_OK;
}

enum frame_result frame_receive(int sock, struct frame *ret, unsigned int deadline_ms)
{
	uint64_t end = frame_now_ms() + deadline_ms;
	uint32_t header[3];
	enum frame_result r;

	ret->fds_count = 0;
	r = receive_exactly(sock, header, sizeof(header), ret, end);
	if (r != FRAME_OK)
		return r;
	ret->request = header[0];
	ret->flags = header[1];
	ret->size = header[2];
	if (ret->size > FRAME_PAYLOAD_MAX)
		return FRAME_TOO_LONG;
	return receive_exactly(sock, ret->payload, ret->size, ret, end);
}

void frame_close_fds(struct frame *frame)
{
	while (frame->fds_count > 0)
		close(frame->fds[--frame->fds_count]);
}

bool frame_waits(int sock, unsigned int deadline_ms)
{
	return await(sock, POLLIN, frame_now_ms() + deadline_ms);
}

uint64_t frame_u64(const struct frame *frame)
{
	uint64_t value = 0;

	if (frame->size >= sizeof(value))
		memcpy(&value, frame->payload, sizeof(value));
	return value;
}
