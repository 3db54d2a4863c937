/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "backends/peer.h"

#include "base/macros.h"

#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

/*
 * So many unanswered askings in a row are no accident. One is nothing: it may be lost, and a host
 * needn't answer those that come within half a second (net.ipv4.tcp_invalid_ratelimit).
 */
#define ASKINGS 3u

bool peer_has_hung_up(int fd)
{
	struct pollfd pollfd = {.fd = fd};

	return poll(&pollfd, 1, 0) == 1 && (pollfd.revents & (POLLERR | POLLHUP));
}

/*
 * Linux sends again what isn't acknowledged, and asks a closed window whether it has opened, at
 * intervals that grow to two minutes. Both counts begin anew with any answer. The time alone says
 * nothing: between two askings nobody owes an answer.
 */
bool peer_is_dead(int fd, uint32_t silent_ms)
{
	struct tcp_info info = {0};
	socklen_t len = sizeof(info);

	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) < 0)
		return false;
	return info.tcpi_probes + info.tcpi_retransmits >= ASKINGS &&
	       info.tcpi_last_ack_recv >= silent_ms;
}

uint64_t peer_queued(int fd)
{
	int queued = 0;

	return ioctl(fd, SIOCOUTQ, &queued) < 0 ? 0 : (uint64_t)MAX(queued, 0);
}
