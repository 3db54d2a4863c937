/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The frontend's socket: connecting, waiting, whole and partial messages. See frontend.h; the
 * protocol's requests are in frontend_requests.c.
 */
#include "frontend.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <poll.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "support.h"

/* ---- connecting ---- */

static void set_nonblocking(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
		support_die("setting a socket non-blocking: %s", strerror(errno));
}

void frontend_init(struct frontend *frontend, int sock)
{
	*frontend = (struct frontend){.sock = sock, .backend_channel = -1, .channel_sent = -1};
	set_nonblocking(sock);
}

int frontend_init_pair(struct frontend *frontend)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0)
		support_die("socketpair: %s", strerror(errno));
	frontend_init(frontend, pair[0]);
	return pair[1];
}

void frontend_init_path(struct frontend *frontend, const char *path)
{
	uint64_t deadline = support_now_ms() + support_deadline_ms();
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (sock < 0 || strlen(path) >= sizeof(address.sun_path))
		support_die("socket for %s", path);
	memcpy(address.sun_path, path, strlen(path));
	while (connect(sock, (struct sockaddr *)&address, sizeof(address)) < 0) {
		if (errno != ENOENT && errno != ECONNREFUSED && errno != EINTR)
			support_die("connecting to %s: %s", path, strerror(errno));
		if (support_now_ms() > deadline)
			support_die("nothing listens on %s", path);
		usleep(1000);
	}
	frontend_init(frontend, sock);
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

void frontend_hangup(struct frontend *frontend)
{
	close_fd(&frontend->sock);
}

void frontend_deinit(struct frontend *frontend)
{
	close_fd(&frontend->sock);
	close_fd(&frontend->backend_channel);
	close_fd(&frontend->channel_sent);
}

/* ---- waiting ---- */

void frontend_turn(struct frontend *frontend)
{
	if (frontend->turn)
		frontend->turn(frontend);
	else
		sched_yield();
}

void frontend_await(struct frontend *frontend, bool (*done)(void *arg), void *arg, const char *what)
{
	uint64_t deadline = support_now_ms() + support_deadline_ms();
	unsigned int turns;

	for (turns = 0; !done(arg); turns++) {
		if (support_now_ms() > deadline)
			support_die("waited in vain for %s", what);
		frontend_turn(frontend);
		/* Another process may need this processor to make progress. */
		if (!frontend->turn && turns > 1000)
			usleep(50);
	}
}

struct readiness {
	struct pollfd poll;
	int timeout_ms;
};

static bool ready(void *arg)
{
	struct readiness *readiness = arg;
	int count = poll(&readiness->poll, 1, readiness->timeout_ms);

	if (count < 0 && errno != EINTR)
		support_die("poll: %s", strerror(errno));
	return count > 0;
}

void frontend_await_fd(struct frontend *frontend, int fd, short events, const char *what)
{
	struct readiness readiness = {.poll = {.fd = fd, .events = events},
	                              .timeout_ms = frontend->turn ? 0 : 10};

	frontend_await(frontend, ready, &readiness, what);
}

bool frontend_silent(struct frontend *frontend, unsigned int milliseconds)
{
	uint64_t end = support_now_ms() + milliseconds;
	struct readiness readiness = {.poll = {.fd = frontend->sock, .events = POLLIN},
	                              .timeout_ms = frontend->turn ? 0 : 1};

	do {
		frontend_turn(frontend);
		if (ready(&readiness))
			return false;
	} while (support_now_ms() < end);
	return true;
}

static bool all_read(void *arg)
{
	struct frontend *frontend = arg;
	int unread;

	if (ioctl(frontend->sock, SIOCOUTQ, &unread) < 0)
		support_die("SIOCOUTQ: %s", strerror(errno));
	return !unread || frontend_peer_closed(frontend);
}

static void give_time(struct frontend *frontend)
{
	if (frontend->turn)
		for (int i = 0; i < 5; i++)
			frontend_turn(frontend);
	else
		usleep(5000);
}

void frontend_await_read(struct frontend *frontend)
{
	frontend_await(frontend, all_read, frontend, "the backend to read the connection");
	give_time(frontend);
}

size_t frontend_await_closed(struct frontend *frontend)
{
	uint8_t bytes[4096];
	size_t total = 0;
	ssize_t count;

	for (;;) {
		frontend_await_fd(frontend, frontend->sock, POLLIN, "the backend to close");
		count = recv(frontend->sock, bytes, sizeof(bytes), 0);
		if (count > 0)
			total += (size_t)count;
		else if (count == 0 || errno == ECONNRESET)
			return total;
		else if (errno != EINTR && errno != EAGAIN)
			support_die("waiting for the backend to close: %s", strerror(errno));
	}
}

bool frontend_peer_closed(struct frontend *frontend)
{
	struct pollfd poll_fd = {.fd = frontend->sock, .events = POLLRDHUP};

	return poll(&poll_fd, 1, 0) > 0;
}

/* ---- messages ---- */

void frontend_message_init(struct frontend_message *message, uint32_t request)
{
	message->request = request;
	message->flags = FE_FLAG_VERSION;
	message->size = 0;
	message->length = 0;
	message->fd_count = 0;
	message->fds_at = 0;
}

void frontend_message_bytes(struct frontend_message *message, const void *bytes, size_t size)
{
	if (size > FE_PAYLOAD_MAX - message->length)
		support_die("payload of more than %d bytes", FE_PAYLOAD_MAX);
	if (size)
		memcpy(message->payload + message->length, bytes, size);
	message->length += (uint32_t)size;
	message->size = message->length;
}

void frontend_message_u32(struct frontend_message *message, uint32_t value)
{
	frontend_message_bytes(message, &value, sizeof(value));
}

void frontend_message_u64(struct frontend_message *message, uint64_t value)
{
	frontend_message_bytes(message, &value, sizeof(value));
}

void frontend_message_fd(struct frontend_message *message, int fd)
{
	if (message->fd_count == FE_FDS_MAX)
		support_die("message with more than %d files", FE_FDS_MAX);
	message->fds[message->fd_count++] = fd;
}

void frontend_message_region(struct frontend_message *message, const struct guest_region *region)
{
	frontend_message_u64(message, region->gpa);
	frontend_message_u64(message, region->size);
	frontend_message_u64(message, region->uva);
	frontend_message_u64(message, region->offset);
}

/* ---- sending ---- */

union control {
	char buffer[CMSG_SPACE(FE_FDS_MAX * sizeof(int))];
	struct cmsghdr align;
};

static void attach_fds(struct msghdr *header, union control *control,
                       const struct frontend_message *message)
{
	size_t size = message->fd_count * sizeof(int);
	struct cmsghdr *cmsg;

	memset(control, 0, sizeof(*control));
	header->msg_control = control->buffer;
	header->msg_controllen = CMSG_SPACE(size);
	cmsg = CMSG_FIRSTHDR(header);
	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(size);
	memcpy(CMSG_DATA(cmsg), message->fds, size);
}

/* One sendmsg() of [from, to) of bytes; the count sent, or a negative errno. */
static ssize_t send_some(struct frontend *frontend, const struct frontend_message *message,
                         const uint8_t *bytes, uint32_t from, uint32_t to)
{
	struct iovec iov = {.iov_base = (uint8_t *)bytes + from, .iov_len = to - from};
	struct msghdr header = {.msg_iov = &iov, .msg_iovlen = 1};
	union control control;
	ssize_t count;

	if (message->fd_count && from == message->fds_at)
		attach_fds(&header, &control, message);
	else if (message->fd_count && from < message->fds_at && to > message->fds_at)
		iov.iov_len = message->fds_at - from;
	count = sendmsg(frontend->sock, &header, MSG_DONTWAIT | MSG_NOSIGNAL);
	return count < 0 ? -errno : count;
}

int frontend_send_part(struct frontend *frontend, const struct frontend_message *message,
                       uint32_t from, uint32_t to)
{
	uint32_t header[3] = {message->request, message->flags, message->size};
	uint8_t bytes[FE_HEADER_SIZE + FE_PAYLOAD_MAX];
	ssize_t count;

	memcpy(bytes, header, FE_HEADER_SIZE);
	memcpy(bytes + FE_HEADER_SIZE, message->payload, message->length);
	while (from < to) {
		count = send_some(frontend, message, bytes, from, to);
		if (count >= 0)
			from += (uint32_t)count;
		else if (count == -EAGAIN)
			frontend_await_fd(frontend, frontend->sock, POLLOUT,
			                  "the backend to read the connection");
		else if (count == -EPIPE || count == -ECONNRESET)
			return (int)count;
		else if (count != -EINTR)
			support_die("sending %s: %s", frontend_request_name(message->request),
			            strerror((int)-count));
	}
	return 0;
}

int frontend_send(struct frontend *frontend, const struct frontend_message *message)
{
	return frontend_send_part(frontend, message, 0, FE_HEADER_SIZE + message->length);
}

int frontend_send_split(struct frontend *frontend, const struct frontend_message *message,
                        uint32_t first)
{
	int error = frontend_send_part(frontend, message, 0, first);

	if (error)
		return error;
	give_time(frontend);
	return frontend_send_part(frontend, message, first, FE_HEADER_SIZE + message->length);
}

/* ---- receiving ---- */

/* Closes the files that came with a message and returns their number. */
static unsigned int close_received(struct msghdr *header)
{
	struct cmsghdr *cmsg;
	unsigned int count = 0;
	size_t size, i;
	int fd;

	for (cmsg = CMSG_FIRSTHDR(header); cmsg; cmsg = CMSG_NXTHDR(header, cmsg)) {
		if (cmsg->cmsg_level != SOL_SOCKET || cmsg->cmsg_type != SCM_RIGHTS)
			continue;
		size = cmsg->cmsg_len - CMSG_LEN(0);
		for (i = 0; i + sizeof(fd) <= size; i += sizeof(fd), count++) {
			memcpy(&fd, CMSG_DATA(cmsg) + i, sizeof(fd));
			close(fd);
		}
	}
	return count;
}

/* Exactly `size` bytes; 0, or -ECONNRESET. */
static int receive_exactly(struct frontend *frontend, int sock, void *ret_bytes, size_t size,
                           unsigned int *fd_count, const char *what)
{
	uint8_t *to = ret_bytes;
	union control control;
	ssize_t count;

	while (size) {
		struct iovec iov = {.iov_base = to, .iov_len = size};
		struct msghdr header = {.msg_iov = &iov,
		                        .msg_iovlen = 1,
		                        .msg_control = control.buffer,
		                        .msg_controllen = sizeof(control.buffer)};

		frontend_await_fd(frontend, sock, POLLIN, what);
		count = recvmsg(sock, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
		if (count == 0 || (count < 0 && errno == ECONNRESET))
			return -ECONNRESET;
		if (count < 0 && errno != EAGAIN && errno != EINTR)
			support_die("receiving %s: %s", what, strerror(errno));
		if (count < 0)
			continue;
		*fd_count += close_received(&header);
		to += count;
		size -= (size_t)count;
	}
	return 0;
}

static int receive_message(struct frontend *frontend, int sock, struct frontend_reply *ret_message,
                           const char *what)
{
	uint32_t header[3];
	int error;

	ret_message->fd_count = 0;
	error =
	    receive_exactly(frontend, sock, header, FE_HEADER_SIZE, &ret_message->fd_count, what);
	if (error)
		return error;
	ret_message->request = header[0];
	ret_message->flags = header[1];
	ret_message->size = header[2];
	if (ret_message->size > FE_PAYLOAD_MAX)
		support_die("a message of %u bytes came", ret_message->size);
	return receive_exactly(frontend, sock, ret_message->payload, ret_message->size,
	                       &ret_message->fd_count, what);
}

int frontend_receive(struct frontend *frontend, struct frontend_reply *ret_reply)
{
	return receive_message(frontend, frontend->sock, ret_reply, "a message of the backend");
}

int frontend_receive_backend_request(struct frontend *frontend, struct frontend_reply *ret_request)
{
	return receive_message(frontend, frontend->backend_channel, ret_request,
	                       "a request on the backend channel");
}
