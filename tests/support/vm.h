/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * One virtual machine with everything: a frontend connected to a socket, memory, and the guest's
 * driver, with one port or with several. For tests that work a daemon from outside and begin anew
 * again and again.
 */
#ifndef SUPPORT_VM_H
#define SUPPORT_VM_H

#include <stdbool.h>
#include <stdint.h>

#include "console_driver.h"
#include "frontend.h"
#include "guest_memory.h"
#include "multiport_driver.h"

struct vm {
	struct frontend frontend;
	struct guest_memory memory;
	struct console_driver console;
	struct multiport_driver multiport;
	uint32_t ports; /* 0: without MULTIPORT */
};

/*
 * Connects to the socket and boots, with the ports' handshake if there are several. False if the
 * connection was closed on the way; then, too, it has to be stopped.
 */
bool vm_start(struct vm *vm, const char *path, const struct vmm *vmm, uint32_t ports);

/* Resets the device and boots again, on the same connection. */
bool vm_reboot(struct vm *vm);

/* Hangs up, frees everything. May be called twice, and on zeroed memory. */
void vm_stop(struct vm *vm);

struct port_driver *vm_port(struct vm *vm, uint32_t id);

#endif
