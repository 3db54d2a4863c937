/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What each VMM sends in the life of a console device, as tables: the recorded sequences.
 *
 * A table is a list of requests in the order they go out. console_driver_play() plays it; the
 * tables are also the documentation of what the daemon has to live with. Their sources are named at
 * each VMM in vmm_sequences.c.
 */
#ifndef SUPPORT_VMM_SEQUENCES_H
#define SUPPORT_VMM_SEQUENCES_H

#include <stdbool.h>
#include <stdint.h>

/* The occasions. A VMM's table is NULL where it has nothing of the kind. */
enum vmm_phase {
	VMM_CONNECT,   /* the socket is connected: negotiation */
	VMM_START,     /* the guest's driver sets DRIVER_OK */
	VMM_CONFIG,    /* the driver reads the configuration space (Linux: after VMM_START) */
	VMM_STOP,      /* the VM is paused */
	VMM_RESUME,    /* and goes on: rings as they were */
	VMM_RESET,     /* the driver resets the device: reboot, unbind, module unloaded */
	VMM_RESTART,   /* DRIVER_OK again, on new rings */
	VMM_RECONNECT, /* the backend went away under a running guest, and is back */
	VMM_PHASES,
};

/* Which vrings a step is for. */
enum vmm_vrings {
	VMM_ONCE = 0,   /* not for a vring */
	VMM_CONFIGURED, /* each one that the guest's driver has set up */
	VMM_ALL,        /* each one that the VMM's device has */
};

/* SET_VRING_BASE: where the number comes from. */
enum vmm_base {
	VMM_BASE_SAVED = 0, /* the last GET_VRING_BASE's answer, 0 after a reset */
	VMM_BASE_ZERO,      /* always 0 */
	VMM_BASE_AVAIL,     /* the available ring's index in guest memory */
	VMM_BASE_RECONNECT, /* with IN_ORDER the used ring's index, otherwise the available ring's
	                     */
};

/* SET_VRING_CALL: which eventfd. */
enum vmm_call {
	VMM_CALL_GUEST = 0, /* the one that interrupts the guest */
	VMM_CALL_MASKED,    /* one that nobody looks at yet */
};

/*
 * One request. Neighbours with the same `vrings` and the same non-zero `block` are done together
 * for one vring, then for the next; a change of `block` starts a new round over the vrings.
 */
struct vmm_step {
	uint32_t request; /* FE_...; 0 ends the table */
	enum vmm_vrings vrings;
	unsigned int block;
	uint32_t value; /* ENABLE: 0 or 1; BASE: enum vmm_base; CALL: enum vmm_call;
	                   GET_CONFIG: the offset the guest reads at */
	uint32_t size;  /* GET_CONFIG: how many bytes the guest reads */
	bool ack;       /* NEED_REPLY is set, if REPLY_ACK was negotiated (VMM_NEED_REPLY_MARKED) */
	bool first_only;         /* not sent again while the connection lives */
	uint64_t needs;          /* sent only if all of these protocol features were negotiated */
	uint64_t unless;         /* not sent if any of these was */
	uint64_t needs_features; /* sent only if all of these virtio features were acknowledged */
};

enum vmm_need_reply {
	VMM_NEED_REPLY_NEVER,
	VMM_NEED_REPLY_MARKED, /* on the steps with `ack` */
	VMM_NEED_REPLY_ALL,    /* on every request after SET_PROTOCOL_FEATURES, answered ones too */
};

struct vmm {
	const char *name;
	uint64_t features;          /* of the backend's features, what it lets the guest see */
	uint64_t protocol_features; /* what it takes if offered (and if these tables know it) */
	enum vmm_need_reply need_reply;

	uint16_t queue_size;   /* the rings' usual size */
	uint32_t config_whole; /* reads and writes this many bytes of configuration at offset 0;
	                          0: what the guest reads and writes, where it does */
	uint32_t get_config_flags;
	uint32_t set_config_flags;

	bool blocking_eventfds; /* made without EFD_NONBLOCK */
	bool shared_call;       /* one call eventfd for all vrings */
	bool new_kicks;         /* new kick eventfds at every start, */
	bool new_calls;         /* new call eventfds at every start */

	const struct vmm_step *phase[VMM_PHASES];
};

extern const struct vmm vmm_qemu;
extern const struct vmm vmm_qemu_10;
extern const struct vmm vmm_crosvm;
extern const struct vmm vmm_cloud_hypervisor;
extern const struct vmm vmm_libkrun;

/* All of them, ended by NULL. */
extern const struct vmm *const vmm_all[];

const char *vmm_phase_name(enum vmm_phase phase);

#endif
