/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The end at every moment (design, 3: teardown is a join): each VMM's recorded life is played with
 * data again and again, and after the first, the second, … completion of the loop the frontend
 * hangs up, a client goes, or the guest is stopped, until a run comes to its end undisturbed. After
 * each, files and mappings are as before, and the guest, or the next one, works.
 */
#include "console_use.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Turns after the act in which the run may still come to its own end. */
#define LAST_TURNS 100

/* Asks to be left alone in what happens at completion `at`. */
struct act {
	struct bed_guest *guest;
	void (*perform)(struct act *act);
	bool escapes; /* the run can't go on after it */
	struct tcp_client *client;
	bool reset;  /* of the client */
	uint64_t at; /* the completion at which it happens */
	bool performed;
	uint64_t turn;
};

static void watch_completions(struct bed *bed, void *arg)
{
	struct act *act = arg;

	if (!act->performed && loop_completions(bed->loop) >= act->at) {
		act->performed = true;
		act->turn = bed->turns;
		if (act->escapes)
			bed_may_fail(bed);
		act->perform(act);
	}
	if (act->performed && act->escapes && bed->turns > act->turn + LAST_TURNS)
		bed_escape(bed);
}

/* Plays `run` with the act at its nth completion from now on. False if the run was over before. */
static bool play_until(struct act *act, uint64_t n, void (*run)(void *arg))
{
	struct bed *bed = act->guest->bed;

	act->performed = false;
	act->at = loop_completions(bed->loop) + n;
	bed->before_turn = watch_completions;
	bed->before_turn_arg = act;
	if (act->escapes)
		bed_try(bed, run, act);
	else
		run(act);
	bed->before_turn = NULL;
	return act->performed;
}

/* ---- the acts ---- */

/* The connection closes, while whoever uses the descriptor finds its end: as a killed VMM. */
static void hang_up(struct act *act)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0 ||
	    dup3(pair[0], act->guest->frontend.sock, O_CLOEXEC) < 0)
		support_die("hanging up: %s", strerror(errno));
	close(pair[0]);
	close(pair[1]);
}

static void stop_guest(struct act *act)
{
	bed_begin_stop(act->guest);
}

static void drop_client(struct act *act)
{
	tcp_client_close(act->client, act->reset);
}

/* ---- the runs ---- */

#define PRINTED 6000
#define TYPED   3000

/* A device's life, with data both ways in each part of it. */
static void live(struct bed_guest *guest, void (*data)(struct bed_guest *guest, void *arg),
                 void *arg)
{
	struct console_driver *console = &guest->console;

	if (!console_driver_bring_up(console))
		support_die("no connection to start with");
	data(guest, arg);
	if (console->vmm->phase[VMM_STOP]) {
		if (!console_driver_play(console, VMM_STOP) ||
		    !console_driver_play(console, VMM_RESUME))
			support_die("no connection to pause with");
		data(guest, arg);
	}
	if (!console_driver_reboot(console))
		support_die("no connection to reboot with");
	data(guest, arg);
}

static void move_data(struct bed_guest *guest, void *arg)
{
	(void)arg;
	test_backend_forget(&guest->backend);
	bed_check_output(guest, PRINTED);
	bed_check_input(guest, TYPED);
}

static void live_and_check(void *arg)
{
	struct act *act = arg;

	live(act->guest, move_data, NULL);
}

/* What was left over by the life before it. */
static void begin_anew(struct bed_guest *guest, const struct vmm *vmm)
{
	struct console_driver_options options = {.vmm = vmm, .queue_size = 64};

	bed_console(guest, &options);
}

/* A new frontend finds a guest that works; input of the old one's time may come first. */
static void expect_a_working_guest(struct bed_guest *guest, const struct vmm *vmm)
{
	begin_anew(guest, vmm);
	bed_reconnect(guest);
	assert_true(console_driver_bring_up(&guest->console));
	bed_settle(guest->bed);
	while (console_driver_collect(&guest->console) > 0) {
		uint8_t bytes[4096];

		console_driver_take_input(&guest->console, bytes, sizeof(bytes));
		bed_settle(guest->bed);
	}
	test_backend_forget(&guest->backend);
	bed_check_output(guest, 1000);
	bed_check_input(guest, 1000);
}

/* ---- the tests ---- */

static void each_completion_of_vmm(const struct vmm *vmm)
{
	struct bed_guest *guest = bed_new(&(struct bed_options){.listens = true});
	struct act act = {.guest = guest, .perform = hang_up, .escapes = true};
	struct bed_mark before;
	bool performed = true;

	begin_anew(guest, vmm);
	bed_hang_up(guest);
	for (uint64_t n = 0; performed; n++) {
		bed_mark(&before);
		begin_anew(guest, vmm);
		bed_reconnect(guest);
		performed = play_until(&act, n, live_and_check);
		bed_hang_up(guest);
		bed_same(&before);
		bed_mark(&before);
		expect_a_working_guest(guest, vmm);
		bed_hang_up(guest);
		bed_same(&before);
	}
}

static void the_frontend_hangs_up_at_each_completion(void **state)
{
	(void)state;
	for (unsigned int v = 0; vmm_all[v]; v++) {
		each_completion_of_vmm(vmm_all[v]);
		bed_teardown(NULL);
		bed_setup(NULL);
	}
}

/* With output held back in the middle of a chain when it hangs up. */
static void move_held_data(struct bed_guest *guest, void *arg)
{
	struct console_driver *console = &guest->console;

	(void)arg;
	test_backend_allow(&guest->backend, 1000);
	console_driver_offer(console, bed_pattern(PRINTED), PRINTED);
	bed_settle(guest->bed);
	test_backend_type(&guest->backend, "typed", 5);
	console_driver_expect_input(console, "typed", 5);
	test_backend_allow(&guest->backend, 2000);
	bed_settle(guest->bed);
	guest->backend.limit = TEST_BACKEND_NO_LIMIT;
	test_backend_allow(&guest->backend, 100000);
	while (driver_outstanding(&console->queue[CONSOLE_TRANSMIT])) {
		driver_await_used(&console->queue[CONSOLE_TRANSMIT], 1);
		console_driver_reap(console);
	}
	test_backend_forget(&guest->backend);
}

static void live_held(void *arg)
{
	struct act *act = arg;

	live(act->guest, move_held_data, NULL);
}

static void the_frontend_hangs_up_while_output_is_held(void **state)
{
	/* Smaller than a buffer, which is taken in pieces then. */
	struct bed_guest *guest = bed_new(&(struct bed_options){.listens = true, .history = 1024});
	struct act act = {.guest = guest, .perform = hang_up, .escapes = true};
	struct bed_mark before;
	bool performed = true;

	(void)state;
	begin_anew(guest, &vmm_qemu);
	bed_hang_up(guest);
	for (uint64_t n = 0; performed; n++) {
		bed_mark(&before);
		begin_anew(guest, &vmm_qemu);
		bed_reconnect(guest);
		performed = play_until(&act, n, live_held);
		bed_hang_up(guest);
		test_backend_allow(&guest->backend, 100000);
		expect_a_working_guest(guest, &vmm_qemu);
		bed_hang_up(guest);
		bed_same(&before);
	}
}

/* Another frontend connects while the first one is on its way out. */
static void a_frontend_takes_over_at_each_completion(void **state)
{
	struct bed_guest *guest = bed_new(&(struct bed_options){.listens = true});
	struct act act = {.guest = guest, .perform = hang_up, .escapes = true};
	struct bed_mark before;
	bool performed = true;

	(void)state;
	begin_anew(guest, &vmm_qemu);
	bed_hang_up(guest);
	bed_mark(&before);
	bed_reconnect(guest);
	for (uint64_t n = 0; performed; n++) {
		begin_anew(guest, &vmm_qemu);
		performed = play_until(&act, n, live_and_check);
		/* Nothing turns in between. */
		expect_a_working_guest(guest, &vmm_qemu);
		begin_anew(guest, &vmm_qemu);
		bed_reconnect(guest);
	}
	bed_hang_up(guest);
	bed_same(&before);
}

/* ---- with a real client ---- */

struct network_run {
	struct act act;
	struct tcp_client staying, going;
	uint64_t pos;
};

static void move_network_data(struct bed_guest *guest, void *arg)
{
	struct network_run *run = arg;
	static uint8_t typed[TYPED];

	print(guest, run->pos, PRINTED);
	if (run->going.fd >= 0)
		tcp_client_send(&run->going, typed, 0);
	expect_printed(&run->staying, run->pos, PRINTED);
	run->pos += PRINTED;
	memset(typed, 'x', sizeof(typed));
	tcp_client_send_all(&run->staying, typed, sizeof(typed));
	console_driver_expect_input(&guest->console, typed, sizeof(typed));
}

static void live_with_clients(void *arg)
{
	struct network_run *run = arg;

	live(run->act.guest, move_network_data, run);
}

/* One client goes; the guest and the other client don't notice. */
static void a_client_goes_at_each_completion(void **state)
{
	struct bed_guest *guest = new_bare_network_guest(0);
	struct network_run run = {
	    .act = {.guest = guest, .perform = drop_client, .client = &run.going}};
	struct bed_mark before;
	bool performed = true;

	(void)state;
	begin_anew(guest, &vmm_qemu);
	bed_hang_up(guest);
	tcp_client_connect(&run.staying, guest, 0);
	bed_settle(guest->bed);
	bed_mark(&before);
	for (uint64_t n = 0; performed; n++) {
		begin_anew(guest, &vmm_qemu);
		bed_reconnect(guest);
		run.act.reset = n % 2;
		tcp_client_connect(&run.going, guest, 4096);
		performed = play_until(&run.act, n, live_with_clients);
		tcp_client_close(&run.going, true);
		print(guest, run.pos, 10);
		expect_printed(&run.staying, run.pos, 10);
		run.pos += 10;
		bed_hang_up(guest);
		bed_settle(guest->bed);
	}
	/* What was closed politely was found out by the next output. */
	bed_same(&before);
}

static void stop_and_compare(const struct vmm *vmm, bool with_client)
{
	bool performed = true;

	for (uint64_t n = 0; performed; n++) {
		struct bed_guest *guest = with_client ? new_bare_network_guest(0) : bed_new(NULL);
		struct network_run run = {
		    .act = {.guest = guest, .perform = stop_guest, .escapes = true}};

		if (with_client)
			tcp_client_connect(&run.staying, guest, 4096);
		begin_anew(guest, vmm);
		run.going.fd = -1;
		performed =
		    play_until(&run.act, n, with_client ? live_with_clients : live_and_check);
		if (with_client)
			tcp_client_close(&run.staying, false);
		/* Stops it, if nothing did; compares with the time before the bed. */
		assert_int_equal(bed_teardown(NULL), 0);
		bed_setup(NULL);
	}
}

/* guest_stop() at each completion, with a test's backend and each VMM. */
static void the_guest_is_stopped_at_each_completion(void **state)
{
	(void)state;
	for (unsigned int v = 0; vmm_all[v]; v++)
		stop_and_compare(vmm_all[v], false);
}

/* And with the network's, a client connected. */
static void the_guest_with_a_client_is_stopped_at_each_completion(void **state)
{
	(void)state;
	stop_and_compare(&vmm_qemu, true);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	    BED_TEST(the_frontend_hangs_up_at_each_completion),
	    BED_TEST(the_frontend_hangs_up_while_output_is_held),
	    BED_TEST(a_frontend_takes_over_at_each_completion),
	    BED_TEST(a_client_goes_at_each_completion),
	    BED_TEST(the_guest_is_stopped_at_each_completion),
	    BED_TEST(the_guest_with_a_client_is_stopped_at_each_completion),
	};

	return BED_RUN(tests);
}
