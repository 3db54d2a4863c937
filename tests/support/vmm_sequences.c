/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The recorded sequences. See vmm_sequences.h.
 *
 * QEMU's were recorded from the wire (11.1.3 and 10.0.13, Linux 7.3 in the guest); those of the
 * others were read from their sources, at the commits named, and nothing differed when these were
 * built and recorded with Linux in the guest (6.1, 7.3). fuzz/corpus/conversation/recorded has all
 * of it, and the test fuzz.recorded compares.
 */
#include "vmm_sequences.h"

#include <stddef.h>

#include "driver.h"
#include "frontend.h"

#define BIT(n)      (1ull << (n))
#define MEM_SLOTS   BIT(FE_PROTOCOL_CONFIGURE_MEM_SLOTS)
#define REPLY_ACK   BIT(FE_PROTOCOL_REPLY_ACK)
#define BACKEND_REQ BIT(FE_PROTOCOL_BACKEND_REQ)
#define CONFIG      BIT(FE_PROTOCOL_CONFIG)
#define MQ          BIT(FE_PROTOCOL_MQ)
#define F_SIZE      BIT(0) /* virtio-console's */

/*
 * QEMU, -device vhost-user-test-device-pci,virtio-id=3,num_vqs=4,config_size=12. Seen on the wire:
 * - since 10.2 KICK, CALL and ERR ask for an acknowledgement;
 * - a guest without MULTIPORT sets up two vrings, but all four are enabled, and get a call eventfd;
 * - with CONFIGURE_MEM_SLOTS memory is sent once a connection, not at each start;
 * - without REPLY_ACK, GET_FEATURES after each ENABLE takes the acknowledgement's place;
 * - pausing, reset and unbinding look alike, and so does quitting, before the socket closes.
 */
static const struct vmm_step qemu_connect[] = {
    {.request = FE_GET_FEATURES},
    {.request = FE_GET_PROTOCOL_FEATURES},
    {.request = FE_SET_PROTOCOL_FEATURES},
    {.request = FE_GET_QUEUE_NUM, .needs = MQ},
    {.request = FE_GET_MAX_MEM_SLOTS, .needs = MEM_SLOTS},
    {.request = FE_SET_BACKEND_REQ_FD, .ack = true, .needs = BACKEND_REQ},
    {.request = FE_SET_OWNER},
    {.request = FE_GET_FEATURES},
    {.request = FE_SET_VRING_CALL,
     .vrings = VMM_ALL,
     .block = 1,
     .value = VMM_CALL_MASKED,
     .ack = true},
    {.request = FE_SET_VRING_ERR, .vrings = VMM_ALL, .block = 1, .ack = true},
    {.request = 0},
};

static const struct vmm_step qemu_start[] = {
    {.request = FE_SET_FEATURES},
    {.request = FE_SET_MEM_TABLE, .ack = true, .unless = MEM_SLOTS},
    {.request = FE_ADD_MEM_REG, .ack = true, .needs = MEM_SLOTS, .first_only = true},
    {.request = FE_SET_VRING_NUM, .vrings = VMM_CONFIGURED, .block = 1},
    {.request = FE_SET_VRING_BASE, .vrings = VMM_CONFIGURED, .block = 1, .value = VMM_BASE_SAVED},
    {.request = FE_SET_VRING_ADDR, .vrings = VMM_CONFIGURED, .block = 1},
    {.request = FE_SET_VRING_KICK, .vrings = VMM_CONFIGURED, .block = 1, .ack = true},
    {.request = FE_SET_VRING_CALL, .vrings = VMM_CONFIGURED, .block = 1, .ack = true},
    {.request = FE_SET_VRING_ENABLE, .vrings = VMM_ALL, .block = 2, .value = 1, .ack = true},
    {.request = FE_GET_FEATURES, .vrings = VMM_ALL, .block = 2, .unless = REPLY_ACK},
    {.request = FE_SET_VRING_CALL, .vrings = VMM_ALL, .block = 3, .ack = true},
    {.request = 0},
};

static const struct vmm_step qemu_stop[] = {
    {.request = FE_SET_VRING_ENABLE, .vrings = VMM_ALL, .block = 1, .value = 0, .ack = true},
    {.request = FE_GET_FEATURES, .vrings = VMM_ALL, .block = 1, .unless = REPLY_ACK},
    {.request = FE_GET_VRING_BASE, .vrings = VMM_CONFIGURED, .block = 2},
    {.request = 0},
};

/* Linux 7.3 reads columns, then rows. */
static const struct vmm_step read_size[] = {
    {.request = FE_GET_CONFIG, .value = 0, .size = 2, .needs = CONFIG, .needs_features = F_SIZE},
    {.request = FE_GET_CONFIG, .value = 2, .size = 2, .needs = CONFIG, .needs_features = F_SIZE},
    {.request = 0},
};

const struct vmm vmm_qemu = {
    .name = "QEMU 11.1",
    .features = ~0ull,
    /* Offered all 64, it took 0x6fffff. It never negotiates to talk more than these: */
    .protocol_features = MQ | REPLY_ACK | BACKEND_REQ | CONFIG | MEM_SLOTS,
    .need_reply = VMM_NEED_REPLY_MARKED,
    .queue_size = 64,
    .config_whole = 12,
    .new_kicks = true,
    .new_calls = true,
    .phase =
	{
	    [VMM_CONNECT] = qemu_connect,
	    [VMM_START] = qemu_start,
	    [VMM_CONFIG] = read_size,
	    [VMM_STOP] = qemu_stop,
	    [VMM_RESUME] = qemu_start,
	    [VMM_RESET] = qemu_stop,
	    [VMM_RESTART] = qemu_start,
	},
};

/*
 * QEMU before 10.2 (10.0.13, vhost-user-device-pci and a fork's vhost-user-console-pci): the same
 * but for KICK, CALL and ERR, which ask for no acknowledgement, and for the rings, which have 1,024
 * entries whatever the device's vq_size says (until 11.1).
 */
static const struct vmm_step qemu_10_connect[] = {
    {.request = FE_GET_FEATURES},
    {.request = FE_GET_PROTOCOL_FEATURES},
    {.request = FE_SET_PROTOCOL_FEATURES},
    {.request = FE_GET_QUEUE_NUM, .needs = MQ},
    {.request = FE_GET_MAX_MEM_SLOTS, .needs = MEM_SLOTS},
    {.request = FE_SET_BACKEND_REQ_FD, .ack = true, .needs = BACKEND_REQ},
    {.request = FE_SET_OWNER},
    {.request = FE_GET_FEATURES},
    {.request = FE_SET_VRING_CALL, .vrings = VMM_ALL, .block = 1, .value = VMM_CALL_MASKED},
    {.request = FE_SET_VRING_ERR, .vrings = VMM_ALL, .block = 1},
    {.request = 0},
};

static const struct vmm_step qemu_10_start[] = {
    {.request = FE_SET_FEATURES},
    {.request = FE_SET_MEM_TABLE, .ack = true, .unless = MEM_SLOTS},
    {.request = FE_ADD_MEM_REG, .ack = true, .needs = MEM_SLOTS, .first_only = true},
    {.request = FE_SET_VRING_NUM, .vrings = VMM_CONFIGURED, .block = 1},
    {.request = FE_SET_VRING_BASE, .vrings = VMM_CONFIGURED, .block = 1, .value = VMM_BASE_SAVED},
    {.request = FE_SET_VRING_ADDR, .vrings = VMM_CONFIGURED, .block = 1},
    {.request = FE_SET_VRING_KICK, .vrings = VMM_CONFIGURED, .block = 1},
    {.request = FE_SET_VRING_CALL, .vrings = VMM_CONFIGURED, .block = 1},
    {.request = FE_SET_VRING_ENABLE, .vrings = VMM_ALL, .block = 2, .value = 1, .ack = true},
    {.request = FE_GET_FEATURES, .vrings = VMM_ALL, .block = 2, .unless = REPLY_ACK},
    {.request = FE_SET_VRING_CALL, .vrings = VMM_ALL, .block = 3},
    {.request = 0},
};

const struct vmm vmm_qemu_10 = {
    .name = "QEMU 10.0",
    .features = ~0ull,
    .protocol_features = MQ | REPLY_ACK | BACKEND_REQ | CONFIG | MEM_SLOTS,
    .need_reply = VMM_NEED_REPLY_MARKED,
    .queue_size = 1024,
    .config_whole = 12,
    .new_kicks = true,
    .new_calls = true,
    .phase =
	{
	    [VMM_CONNECT] = qemu_10_connect,
	    [VMM_START] = qemu_10_start,
	    [VMM_CONFIG] = read_size,
	    [VMM_STOP] = qemu_stop,
	    [VMM_RESUME] = qemu_10_start,
	    [VMM_RESET] = qemu_stop,
	    [VMM_RESTART] = qemu_10_start,
	},
};

/*
 * crosvm f1e797a (devices/src/virtio/vhost_user_frontend/mod.rs), --vhost-user type=console.
 * - BASE comes after ADDR;
 * - REPLY_ACK is negotiated, NEED_REPLY never set;
 * - SET_FEATURES is sent again only if the guest's choice changed;
 * - GET_CONFIG has the flag 1; eventfds block;
 * - the rings are of 32768 entries unless max-queue-size= says less.
 */
static const struct vmm_step crosvm_connect[] = {
    {.request = FE_SET_OWNER},
    {.request = FE_GET_FEATURES},
    {.request = FE_GET_PROTOCOL_FEATURES},
    {.request = FE_SET_PROTOCOL_FEATURES},
    {.request = FE_SET_BACKEND_REQ_FD, .needs = BACKEND_REQ},
    {.request = FE_GET_QUEUE_NUM, .needs = MQ},
    {.request = 0},
};

static const struct vmm_step crosvm_start[] = {
    {.request = FE_SET_FEATURES, .first_only = true},
    {.request = FE_SET_MEM_TABLE},
    {.request = FE_SET_VRING_NUM, .vrings = VMM_CONFIGURED, .block = 1},
    {.request = FE_SET_VRING_ADDR, .vrings = VMM_CONFIGURED, .block = 1},
    {.request = FE_SET_VRING_BASE, .vrings = VMM_CONFIGURED, .block = 1, .value = VMM_BASE_SAVED},
    {.request = FE_SET_VRING_CALL, .vrings = VMM_CONFIGURED, .block = 1},
    {.request = FE_SET_VRING_KICK, .vrings = VMM_CONFIGURED, .block = 1},
    {.request = FE_SET_VRING_ENABLE, .vrings = VMM_CONFIGURED, .block = 1, .value = 1},
    {.request = 0},
};

static const struct vmm_step crosvm_stop[] = {
    {.request = FE_SET_VRING_ENABLE, .vrings = VMM_CONFIGURED, .block = 1, .value = 0},
    {.request = FE_GET_VRING_BASE, .vrings = VMM_CONFIGURED, .block = 1},
    {.request = 0},
};

const struct vmm vmm_crosvm = {
    .name = "crosvm",
    .features = 0xfffc000000ffffffull | BIT(DRIVER_F_VERSION_1) | BIT(DRIVER_F_EVENT_IDX) |
                BIT(42) /* SUSPEND */,
    .protocol_features = CONFIG | MQ | BACKEND_REQ | REPLY_ACK | BIT(FE_PROTOCOL_DEVICE_STATE),
    .need_reply = VMM_NEED_REPLY_NEVER,
    .queue_size = 32768,
    .get_config_flags = 1,
    .blocking_eventfds = true,
    .phase =
	{
	    [VMM_CONNECT] = crosvm_connect,
	    [VMM_START] = crosvm_start,
	    [VMM_CONFIG] = read_size,
	    [VMM_STOP] = crosvm_stop,
	    [VMM_RESUME] = crosvm_start,
	    [VMM_RESET] = crosvm_stop,
	    [VMM_RESTART] = crosvm_start,
	},
};

/*
 * Cloud Hypervisor ae44c29 (virtio-devices/src/vhost_user/vu_common_ctrl.rs), --generic-vhost-user.
 * - after SET_PROTOCOL_FEATURES every request has NEED_REPLY, also those with an answer;
 * - all NUM first, then the rest for each vring, all ENABLE, SET_BACKEND_REQ_FD last, each time;
 * - pausing is ENABLE(0) alone;
 * - it reconnects, and then doesn't ask for the protocol features again;
 * - SET_CONFIG has the flag 1, which the specification calls live migration;
 * - no device-specific feature bit passes;
 * - a device that the guest hasn't reset when it powers off or reboots (Linux 6.1 doesn't, 7.3
 *   does) is told ENABLE(1) twice more, then the socket closes;
 * - memory added to the guest is one ADD_MEM_REG, its vrings go on;
 * - a snapshot is GET_VRING_BASE for each vring and DEVICE_STATE after a pause; resuming is then
 *   a whole start, with these bases.
 * INFLIGHT_SHMFD and LOG_SHMFD, which it would take, aren't in these tables.
 */
static const struct vmm_step cloud_hypervisor_connect[] = {
    {.request = FE_SET_OWNER},
    {.request = FE_GET_FEATURES},
    {.request = FE_GET_PROTOCOL_FEATURES},
    {.request = FE_SET_PROTOCOL_FEATURES},
    {.request = FE_GET_QUEUE_NUM, .needs = MQ},
    {.request = 0},
};

static const struct vmm_step cloud_hypervisor_start[] = {
    {.request = FE_SET_FEATURES},
    {.request = FE_SET_MEM_TABLE},
    {.request = FE_SET_VRING_NUM, .vrings = VMM_CONFIGURED, .block = 1},
    {.request = FE_SET_VRING_ADDR, .vrings = VMM_CONFIGURED, .block = 2},
    {.request = FE_SET_VRING_BASE, .vrings = VMM_CONFIGURED, .block = 2, .value = VMM_BASE_AVAIL},
    {.request = FE_SET_VRING_CALL, .vrings = VMM_CONFIGURED, .block = 2},
    {.request = FE_SET_VRING_KICK, .vrings = VMM_CONFIGURED, .block = 2},
    {.request = FE_SET_VRING_ENABLE, .vrings = VMM_CONFIGURED, .block = 3, .value = 1},
    {.request = FE_SET_BACKEND_REQ_FD, .needs = BACKEND_REQ},
    {.request = 0},
};

static const struct vmm_step cloud_hypervisor_pause[] = {
    {.request = FE_SET_VRING_ENABLE, .vrings = VMM_CONFIGURED, .block = 1, .value = 0},
    {.request = 0},
};

static const struct vmm_step cloud_hypervisor_resume[] = {
    {.request = FE_SET_VRING_ENABLE, .vrings = VMM_CONFIGURED, .block = 1, .value = 1},
    {.request = 0},
};

static const struct vmm_step cloud_hypervisor_reset[] = {
    {.request = FE_SET_VRING_ENABLE, .vrings = VMM_CONFIGURED, .block = 1, .value = 0},
    {.request = FE_GET_VRING_BASE, .vrings = VMM_CONFIGURED, .block = 1},
    {.request = 0},
};

static const struct vmm_step cloud_hypervisor_reconnect[] = {
    {.request = FE_SET_OWNER},
    {.request = FE_GET_FEATURES},
    {.request = FE_SET_PROTOCOL_FEATURES},
    {.request = FE_SET_FEATURES},
    {.request = FE_SET_MEM_TABLE},
    {.request = FE_SET_VRING_NUM, .vrings = VMM_CONFIGURED, .block = 1},
    {.request = FE_SET_VRING_ADDR, .vrings = VMM_CONFIGURED, .block = 2},
    {.request = FE_SET_VRING_BASE,
     .vrings = VMM_CONFIGURED,
     .block = 2,
     .value = VMM_BASE_RECONNECT},
    {.request = FE_SET_VRING_CALL, .vrings = VMM_CONFIGURED, .block = 2},
    {.request = FE_SET_VRING_KICK, .vrings = VMM_CONFIGURED, .block = 2},
    {.request = FE_SET_VRING_ENABLE, .vrings = VMM_CONFIGURED, .block = 3, .value = 1},
    {.request = FE_SET_BACKEND_REQ_FD, .needs = BACKEND_REQ},
    {.request = 0},
};

const struct vmm vmm_cloud_hypervisor = {
    .name = "Cloud Hypervisor",
    .features = BIT(DRIVER_F_INDIRECT_DESC) | BIT(DRIVER_F_EVENT_IDX) | BIT(DRIVER_F_VERSION_1) |
                BIT(DRIVER_F_IN_ORDER) | BIT(36) /* ORDER_PLATFORM */ |
                BIT(38) /* NOTIFICATION_DATA */ | BIT(FE_F_LOG_ALL),
    .protocol_features =
	CONFIG | MQ | MEM_SLOTS | REPLY_ACK | BACKEND_REQ | BIT(FE_PROTOCOL_DEVICE_STATE),
    .need_reply = VMM_NEED_REPLY_ALL,
    .queue_size = 256,
    .set_config_flags = 1,
    .phase =
	{
	    [VMM_CONNECT] = cloud_hypervisor_connect,
	    [VMM_START] = cloud_hypervisor_start,
	    [VMM_CONFIG] = read_size,
	    [VMM_STOP] = cloud_hypervisor_pause,
	    [VMM_RESUME] = cloud_hypervisor_resume,
	    [VMM_RESET] = cloud_hypervisor_reset,
	    [VMM_RESTART] = cloud_hypervisor_start,
	    [VMM_RECONNECT] = cloud_hypervisor_reconnect,
	},
};

/*
 * libkrun 6ed74fa (src/devices/src/virtio/vhost_user/device.rs), with the number of queues left to
 * the backend.
 * - SET_OWNER comes with each start, memory before SET_FEATURES;
 * - every vring is started, those too that the guest's driver hasn't set up: with NUM 0 and the
 *   addresses of guest physical address 0;
 * - KICK comes before CALL, and all vrings have the same call eventfd;
 * - a reset is ENABLE(0) alone: the next start finds the vrings still started;
 * - it never pauses;
 * - it waits for calls only after its first start: a guest whose driver is bound again gets no
 *   more interrupts, so no input.
 */
static const struct vmm_step libkrun_connect[] = {
    {.request = FE_GET_FEATURES},
    {.request = FE_GET_PROTOCOL_FEATURES},
    {.request = FE_SET_PROTOCOL_FEATURES},
    {.request = FE_GET_QUEUE_NUM, .needs = MQ},
    {.request = 0},
};

static const struct vmm_step libkrun_start[] = {
    {.request = FE_SET_OWNER},
    {.request = FE_SET_MEM_TABLE},
    {.request = FE_SET_FEATURES},
    {.request = FE_SET_VRING_NUM, .vrings = VMM_ALL, .block = 1},
    {.request = FE_SET_VRING_BASE, .vrings = VMM_ALL, .block = 1, .value = VMM_BASE_ZERO},
    {.request = FE_SET_VRING_ADDR, .vrings = VMM_ALL, .block = 1},
    {.request = FE_SET_VRING_KICK, .vrings = VMM_ALL, .block = 1},
    {.request = FE_SET_VRING_CALL, .vrings = VMM_ALL, .block = 1},
    {.request = FE_SET_VRING_ENABLE, .vrings = VMM_ALL, .block = 1, .value = 1},
    {.request = 0},
};

static const struct vmm_step libkrun_reset[] = {
    {.request = FE_SET_VRING_ENABLE, .vrings = VMM_ALL, .block = 1, .value = 0},
    {.request = 0},
};

const struct vmm vmm_libkrun = {
    .name = "libkrun",
    .features = ~0ull,
    .protocol_features = CONFIG | MQ,
    .need_reply = VMM_NEED_REPLY_NEVER,
    .queue_size = 256,
    .shared_call = true,
    .new_calls = true,
    .phase =
	{
	    [VMM_CONNECT] = libkrun_connect,
	    [VMM_START] = libkrun_start,
	    [VMM_CONFIG] = read_size,
	    [VMM_RESET] = libkrun_reset,
	    [VMM_RESTART] = libkrun_start,
	},
};

const struct vmm *const vmm_all[] = {
    &vmm_qemu, &vmm_qemu_10, &vmm_crosvm, &vmm_cloud_hypervisor, &vmm_libkrun, NULL,
};

const char *vmm_phase_name(enum vmm_phase phase)
{
	static const char *const names[VMM_PHASES] = {
	    [VMM_CONNECT] = "connect", [VMM_START] = "start",         [VMM_CONFIG] = "config",
	    [VMM_STOP] = "stop",       [VMM_RESUME] = "resume",       [VMM_RESET] = "reset",
	    [VMM_RESTART] = "restart", [VMM_RECONNECT] = "reconnect",
	};

	return phase < VMM_PHASES ? names[phase] : "no phase";
}
