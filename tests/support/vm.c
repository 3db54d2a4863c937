/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * One virtual machine. See vm.h.
 */
#include "vm.h"

#include <string.h>

static void make_drivers(struct vm *vm, const struct vmm *vmm)
{
	struct multiport_driver_options options = {
	    .ports = vm->ports,
	    .console = {.vmm = vmm, .queue_size = 64},
	};
	struct console_driver_options console = options.console;

	if (vm->ports)
		console = multiport_driver_console_options(&options);
	console_driver_init(&vm->console, &vm->frontend, &vm->memory, &console);
	if (vm->ports)
		multiport_driver_init(&vm->multiport, &vm->console, &options);
}

/* What Linux says when its driver starts; the device's answers are recorded. */
static bool shake_hands(struct vm *vm)
{
	struct multiport_driver *multiport = &vm->multiport;

	multiport_driver_send(multiport, MULTIPORT_NO_ID, CONSOLE_DEVICE_READY, 1);
	multiport_driver_await(multiport, vm->ports);
	for (uint32_t id = 0; id < vm->ports; id++) {
		multiport_driver_send(multiport, id, CONSOLE_PORT_READY, 1);
		multiport_driver_send(multiport, id, CONSOLE_PORT_OPEN, 1);
	}
	return !frontend_peer_closed(&vm->frontend);
}

bool vm_start(struct vm *vm, const char *path, const struct vmm *vmm, uint32_t ports)
{
	*vm = (struct vm){.ports = ports};
	frontend_init_path(&vm->frontend, path);
	guest_memory_init(&vm->memory);
	make_drivers(vm, vmm);
	if (!ports)
		return console_driver_bring_up(&vm->console);
	return multiport_driver_bring_up(&vm->multiport) && shake_hands(vm);
}

bool vm_reboot(struct vm *vm)
{
	if (!vm->ports)
		return console_driver_reboot(&vm->console);
	return multiport_driver_reset(&vm->multiport) && multiport_driver_restart(&vm->multiport) &&
	       shake_hands(vm);
}

void vm_stop(struct vm *vm)
{
	if (!vm->console.frontend)
		return;
	if (vm->ports)
		multiport_driver_deinit(&vm->multiport);
	console_driver_deinit(&vm->console);
	frontend_deinit(&vm->frontend);
	guest_memory_deinit(&vm->memory);
	*vm = (struct vm){0};
}

struct port_driver *vm_port(struct vm *vm, uint32_t id)
{
	return vm->ports ? multiport_driver_port(&vm->multiport, id) : &vm->console.port;
}
