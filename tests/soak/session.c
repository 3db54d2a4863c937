/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A guest's session in the soak. See peers.h.
 */
#include "peers.h"

#include "records.h"
#include "support.h"
#include "vm.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define RECORDS_MOST 200u

/* One port with a client, which reads whenever the guest waits for something. */
struct line {
	unsigned int port;
	int fd;                              /* -1: no client */
	bool stopped;                        /* it doesn't read for now */
	struct record_writer printed, typed; /* by the guest, by the client */
	struct record_reader seen, heard;    /* by the client, by the guest */
};

struct session {
	const struct place *place;
	unsigned int guest;
	uint64_t seed;
	char path[128];
	struct vm vm;
	struct line lines[PORTS];
};

static void client_reads(struct line *line)
{
	char bytes[16384];
	ssize_t n;

	if (line->fd < 0 || line->stopped)
		return;
	while ((n = recv(line->fd, bytes, sizeof(bytes), MSG_DONTWAIT)) > 0)
		record_read(&line->seen, bytes, (size_t)n);
	if (n == 0 || errno != EAGAIN)
		support_die("a client of port %u was closed", line->port);
}

static void guest_reads(struct session *s, struct line *line)
{
	struct port_driver *port = vm_port(&s->vm, line->port);
	char bytes[4096];
	size_t n;

	port_driver_collect(port);
	while ((n = port_driver_take_input(port, bytes, sizeof(bytes))) > 0)
		record_read(&line->heard, bytes, n);
}

static unsigned int lines_of(const struct session *s)
{
	return s->vm.ports ? PORTS : 1;
}

static void on_turn(struct frontend *frontend)
{
	struct session *s = frontend->turn_arg;

	for (unsigned int i = 0; i < PORTS; i++)
		client_reads(&s->lines[i]);
	usleep(1000);
}

static void connect_line(struct session *s, unsigned int i)
{
	struct line *line = &s->lines[i];

	line->fd = connect_client(s->place, s->guest, i);
	line->stopped = false;
	record_reader_init(&line->seen, s->guest, i != PORT_DATA, i == PORT_TELNET);
	record_writer_init(&line->typed, s->guest, wide_dice(&s->seed));
	if (i == PORT_DATA)
		multiport_driver_await_open(&s->vm.multiport, PORT_DATA, true);
}

static bool was_seen(void *arg)
{
	struct line *line = arg;

	return record_is_level(&line->seen, &line->printed);
}

/* Prints; a client that reads sees it all. */
static void print_records(struct session *s, unsigned int i)
{
	char bytes[RECORDS_MOST * RECORD_BYTES];
	unsigned int count = 1 + dice(&s->seed) % RECORDS_MOST;
	struct line *line = &s->lines[i];

	record_write(&line->printed, bytes, count);
	port_driver_transmit(vm_port(&s->vm, i), bytes, (size_t)count * RECORD_BYTES);
	if (line->fd >= 0 && !line->stopped)
		frontend_await(&s->vm.frontend, was_seen, line, "printed records to be seen");
}

struct hearing {
	struct session *s;
	struct line *line;
};

static bool was_heard(void *arg)
{
	struct hearing *hearing = arg;

	guest_reads(hearing->s, hearing->line);
	return record_is_level(&hearing->line->heard, &hearing->line->typed);
}

static void type_records(struct session *s, unsigned int i)
{
	char bytes[RECORDS_MOST * RECORD_BYTES];
	unsigned int count = 1 + dice(&s->seed) % RECORDS_MOST;
	struct line *line = &s->lines[i];
	struct hearing hearing = {s, line};
	size_t done = 0, size = (size_t)count * RECORD_BYTES;

	if (line->fd < 0)
		return;
	record_write(&line->typed, bytes, count);
	while (done < size) {
		ssize_t n = send(line->fd, bytes + done, size - done, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0 && errno != EAGAIN)
			support_die("a client can't type: %s", strerror(errno));
		done += (size_t)(n > 0 ? n : 0);
		guest_reads(s, line);
		frontend_turn(&s->vm.frontend);
	}
	frontend_await(&s->vm.frontend, was_heard, &hearing, "typed records to be heard");
}

/* More than is kept, while its client doesn't read: it learns what is missing. */
static void stall(struct session *s)
{
	s->lines[PORT_RAW].stopped = true;
	for (unsigned int i = 0; i < 12; i++)
		print_records(s, PORT_RAW);
	s->lines[PORT_RAW].stopped = false;
	print_records(s, PORT_RAW);
}

/* What it sends no more is no end of what it reads. */
static void half_close(struct session *s)
{
	shutdown(s->lines[PORT_RAW].fd, SHUT_WR);
	print_records(s, PORT_RAW);
	close_client(&s->lines[PORT_RAW].fd, dice(&s->seed) % 2);
	connect_line(s, PORT_RAW);
}

static void reboot(struct session *s)
{
	if (!vm_reboot(&s->vm))
		support_die("the connection was closed at a reboot");
	if (s->vm.ports)
		multiport_driver_await_open(&s->vm.multiport, PORT_DATA,
		                            s->lines[PORT_DATA].fd >= 0);
}

static void reconnect(struct session *s, unsigned int i)
{
	close_client(&s->lines[i].fd, true);
	if (i == PORT_DATA) /* there is a place for one */
		multiport_driver_await_open(&s->vm.multiport, PORT_DATA, false);
	connect_line(s, i);
}

static void act(struct session *s)
{
	unsigned int i = dice(&s->seed) % lines_of(s), action = dice(&s->seed) % 10;

	snprintf(doing, sizeof(doing), "guest %u (%s, %u ports), action %u at port %u: ", s->guest,
	         s->vm.console.vmm->name, lines_of(s), action, i);
	switch (action) {
	case 0:
		reboot(s);
		break;
	case 1:
		reconnect(s, i == PORT_TELNET ? PORT_RAW : i);
		break;
	case 2:
		half_close(s);
		break;
	case 3:
		stall(s);
		break;
	case 4:
	case 5:
	case 6:
		type_records(s, i);
		break;
	default:
		print_records(s, i);
	}
}

static void boot(struct session *s, const struct vmm *vmm, uint32_t ports)
{
	snprintf(s->path, sizeof(s->path), "%s/fe%u", s->place->folder, s->guest);
	for (unsigned int i = 0; i < PORTS; i++) {
		s->lines[i] = (struct line){.port = i, .fd = -1};
		record_writer_init(&s->lines[i].printed, s->guest, wide_dice(&s->seed));
		record_reader_init(&s->lines[i].heard, s->guest, false, false);
	}
	if (!vm_start(&s->vm, s->path, vmm, ports))
		support_die("the frontend was closed (%s)", vmm->name);
	s->vm.frontend.turn = on_turn;
	s->vm.frontend.turn_arg = s;
}

void guest_session(const struct place *place, unsigned int guest, uint64_t seed)
{
	static struct session s;
	const struct vmm *vmm;
	uint32_t ports;

	s = (struct session){.place = place, .guest = guest, .seed = seed};
	vmm = vmm_all[dice(&s.seed) % 4];
	/* Cloud Hypervisor takes the console's features away. */
	ports = vmm == &vmm_cloud_hypervisor || dice(&s.seed) % 4 == 0 ? 0 : PORTS;
	boot(&s, vmm, ports);
	connect_line(&s, PORT_RAW);
	if (ports)
		connect_line(&s, PORT_DATA);
	for (unsigned int i = 2 + dice(&s.seed) % 20; i > 0; i--)
		act(&s);
	if (dice(&s.seed) % 2)
		vm_stop(&s.vm);
}

void last_session(const struct place *place, unsigned int guest)
{
	static struct session s;

	s = (struct session){.place = place, .guest = guest, .seed = guest + 1};
	boot(&s, &vmm_qemu, PORTS);
	for (unsigned int i = 0; i < 3; i++) {
		print_records(&s, PORT_RAW);
		print_records(&s, PORT_TELNET);
		frontend_barrier(&s.vm.frontend);
	}
	vm_stop(&s.vm);
}
