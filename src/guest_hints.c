/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Says what is wrong with a VMM's command line, in words that lead to the option in question, and
 * says it once. See guest_hints.h. It must not change anything but what it has said.
 */
#include "guest_hints.h"

#include "base/log.h"
#include "base/macros.h"

#include <inttypes.h>

/* Bits of `told` besides those of the session's hints. */
enum {
	TOLD_VRINGS = SESSION_HINTS,
	TOLD_CONFIG,
	TOLD_REACH,
};

/* Whether this is the first time. */
static bool first(struct guest *guest, unsigned int what)
{
	bool told = guest->hints_told >> what & 1;

	guest->hints_told |= 1u << what;
	return !told;
}

/*
 * A frontend names its vrings one after the other in no time (QEMU), and no message says that these
 * were all. If they are too few, the guest's driver gives up and nothing comes after them.
 */
#define NAMING_MS 2000u

/* Linux's driver doesn't start without these. */
static uint32_t least_vrings(const struct guest *guest)
{
	return guest->config->multiport ? CONSOLE_VRINGS(1) : 2;
}

static void on_naming_over(struct loop_op *op, int32_t res)
{
	struct guest *guest = container_of(op, struct guest, naming.op);
	uint32_t vrings = guest->console.record->vrings_named, least = least_vrings(guest);

	(void)res;
	if (guest->connection.closing || vrings == 0 || vrings >= least ||
	    !first(guest, TOLD_VRINGS))
		return;
	log_limited(&guest->limit, LOG_LEVEL_WARNING,
	            "%s: its VMM gives the console %u vring%s, and the guest's driver needs at "
	            "least %u: it won't start (QEMU: num_vqs=%u)",
	            guest->name, vrings, vrings > 1 ? "s" : "", least,
	            CONSOLE_VRINGS(guest->config->max_ports));
}

void guest_hints_on_named(struct guest *guest)
{
	bool enough = guest->console.record->vrings_named >= least_vrings(guest);

	if (guest->naming.op.armed == !enough)
		return;
	if (enough)
		loop_cancel(&guest->naming.op);
	else
		loop_timer_arm(&guest->naming, NAMING_MS);
}

void guest_hints_init(struct guest *guest)
{
	guest_hints_forget(guest);
	loop_timer_init(&guest->naming, &guest->connection, on_naming_over);
}

void guest_hints_forget(struct guest *guest)
{
	guest->hints_told = 0;
}

/* Ports that the driver can't be told of. */
static void tell_reach(struct guest *guest)
{
	unsigned int reach = console_ports_reach(&guest->console), ports = guest->config->max_ports;

	if (!guest->console.multiport || reach == ports || !first(guest, TOLD_REACH))
		return;
	log_limited(&guest->limit, LOG_LEVEL_WARNING,
	            "%s: the guest sees %u of %u ports: its VMM has %u vrings (num_vqs), %u are "
	            "needed",
	            guest->name, reach, ports, guest->console.record->vrings_named,
	            CONSOLE_VRINGS(ports));
}

void guest_hints_on_run(struct guest *guest)
{
	const struct session *session = &guest->session;

	tell_reach(guest);
	if (!session->record->protocol_features_set ||
	    session_has(session, VHOST_USER_PROTOCOL_F_CONFIG) || !first(guest, TOLD_CONFIG))
		return;
	log_limited(&guest->limit, LOG_LEVEL_WARNING,
	            "%s: its VMM shows the guest no configuration space (QEMU: config_size=12): "
	            "there is no window size%s",
	            guest->name, guest->config->multiport ? ", and one port only" : "");
}

void guest_hints_on_refusal(struct guest *guest, enum session_hint hint, uint64_t number)
{
	if (!first(guest, hint))
		return;
	switch (hint) {
	case SESSION_HINT_VRING_SIZE:
		log_limited(&guest->limit, LOG_LEVEL_WARNING,
		            "%s: its VMM's vrings have %" PRIu64
		            " entries, and --max-queue-size=%u (-q) allows no more: start this "
		            "program with -q %" PRIu64
		            " (QEMU before 11.1 has 1024 entries, whatever its vq_size says)",
		            guest->name, number, guest->config->max_queue_size, number);
		break;
	case SESSION_HINT_POLLED:
		log_limited(&guest->limit, LOG_LEVEL_WARNING,
		            "%s: its VMM or its driver never notifies, and wants vring %" PRIu64
		            " to be polled, which this program doesn't do",
		            guest->name, number);
		break;
	case SESSION_HINT_NOT_SHARED:
		log_limited(&guest->limit, LOG_LEVEL_WARNING,
		            "%s: vring %" PRIu64
		            " isn't in memory that its VMM shares: all of the guest's memory has "
		            "to be a shared file (QEMU: memory-backend-memfd, or share=on)",
		            guest->name, number);
		break;
	case SESSION_HINTS:
		break;
	}
}
