/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Holds the transfer: all bytes or an error, however slow the other end is and whatever the system
 * is short of; the descriptor is closed at the end, and closing in the middle leaves nothing.
 *
 * Includes transfer.c, so that requests can be failed.
 */
#include "unit.h"

#include "loop/loop.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

/* What the next requests of a kind (or mappings) come to, instead of being done. */
static struct {
	unsigned int polls, reads, writes, mappings;
	int32_t result;
	bool this_one;
	unsigned int waits; /* polls that were asked for */
} played;

static loop_op_fn *played_on_done;

static void played_done(struct loop_op *op, int32_t res)
{
	bool this_one = played.this_one;

	played.this_one = false;
	played_on_done(op, this_one ? played.result : res);
}

static void played_op_init(struct loop_op *op, struct loop_scope *scope, loop_op_fn *fn)
{
	played_on_done = fn;
	loop_op_init(op, scope, played_done);
}

/* A request that is to fail is handed over without its descriptor: no byte of it is lost. */
static int fd_of_request(unsigned int *left, int fd)
{
	played.this_one = *left > 0;
	*left -= played.this_one;
	return played.this_one ? -1 : fd;
}

static void played_poll(struct loop_op *op, int fd, short events)
{
	played.waits++;
	loop_arm_poll(op, fd_of_request(&played.polls, fd), events);
	op->fd = fd;
}

static void played_read(struct loop_op *op, int fd, void *buf, size_t len)
{
	loop_arm_read(op, fd_of_request(&played.reads, fd), buf, len);
	op->fd = fd;
}

static void played_write(struct loop_op *op, int fd, const void *buf, size_t len)
{
	loop_arm_write(op, fd_of_request(&played.writes, fd), buf, len);
	op->fd = fd;
}

static void *played_mmap(void *addr, size_t len, int prot, int flags, int fd, off_t offset)
{
	if (played.mappings == 0)
		return mmap(addr, len, prot, flags, fd, offset);
	errno = ENOMEM;
	return MAP_FAILED;
}

#define loop_op_init   played_op_init
#define loop_arm_poll  played_poll
#define loop_arm_read  played_read
#define loop_arm_write played_write
#define mmap           played_mmap
/* The head says what for. */
#include "loop/transfer.c" /* NOLINT(bugprone-suspicious-include) */
#undef loop_op_init
#undef loop_arm_poll
#undef loop_arm_read
#undef loop_arm_write
#undef mmap

#include "loop/discard.h"
#include "turning.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PIECE TRANSFER_PIECE
#define MANY  (5 * PIECE + 7)

struct fixture {
	struct loop *loop;
	struct watched_scope scope;
	struct loop_discards discards;
	struct transfer transfer;
	int ours, peers; /* the transfer's, and the other end */
	unsigned int ended;
	unsigned int asked, not_yet; /* whether it may end: at first so often it may not */
	int error;
	uint8_t *got; /* what was read */
	size_t got_len;
	uint8_t *bytes; /* to be written */
	struct iovec pieces[3];
};

static void on_ended(struct transfer *transfer, int error)
{
	struct fixture *f = container_of(transfer, struct fixture, transfer);

	f->ended++;
	f->error = error;
	/* It is being closed by now: the other end knows as soon as we do. */
	assert_true(fcntl(f->ours, F_GETFD) < 0 || loop_discards(f->loop) == 1);
	if (transfer->reading && error == 0) {
		f->got = malloc(transfer->len + 1);
		f->got_len = transfer->len;
		memcpy(f->got, transfer->bytes, transfer->len);
	}
	transfer_forget(transfer);
}

static bool may_end(struct transfer *transfer)
{
	struct fixture *f = container_of(transfer, struct fixture, transfer);

	f->asked++;
	return f->asked > f->not_yet;
}

static void on_emptied(struct loop_discards *discards)
{
	(void)discards;
}

static void set_up(struct fixture *f, int ours, int peers)
{
	*f = (struct fixture){.loop = turning_loop(), .ours = ours, .peers = peers};
	memset(&played, 0, sizeof(played));
	/* As the daemon does. */
	signal(SIGPIPE, SIG_IGN);
	watched_scope_init(&f->scope, f->loop);
	loop_discards_init(&f->discards, f->loop, on_emptied);
	transfer_init(&f->transfer, &f->scope.scope, &f->discards.discarder, on_ended, may_end);
}

static void tear_down(struct fixture *f)
{
	watched_scope_end(&f->scope);
	transfer_deinit(&f->transfer);
	turn_until(f->loop, loop_discards(f->loop) == 0);
	assert_int_equal(fcntl(f->ours, F_GETFD), -1);
	loop_free(f->loop);
	if (f->peers >= 0)
		close(f->peers);
	free(f->got);
	free(f->bytes);
}

/* The ways there are to go, which never wait, as the daemon has them. */
enum way { PIPE, SOCKET, WAYS };

static void set_up_way(struct fixture *f, enum way way, bool reading)
{
	int pair[2];

	if (way == PIPE)
		assert_int_equal(pipe2(pair, O_CLOEXEC | O_NONBLOCK), 0);
	else
		assert_int_equal(
		    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
	set_up(f, pair[reading ? 0 : 1], pair[reading ? 1 : 0]);
}

static void hang_up(struct fixture *f)
{
	close(f->peers);
	f->peers = -1;
}

static uint8_t *pattern(size_t len)
{
	uint8_t *bytes = malloc(len + 1);

	support_fill_pattern(bytes, len, 0);
	return bytes;
}

/* The other end writes, in pieces of so many bytes, and the loop turns as often as it must. */
static void feed(struct fixture *f, size_t len, size_t piece)
{
	uint8_t *bytes = pattern(len);
	size_t done = 0;

	while (done < len) {
		ssize_t n = write(f->peers, bytes + done, MIN(piece, len - done));

		if (n > 0)
			done += (size_t)n;
		else
			assert_int_equal(errno, EAGAIN);
		turning_step(f->loop, UINT64_MAX, "");
	}
	free(bytes);
}

/* What the other end reads, in pieces, until there is no more: is the pattern. */
static void drain(struct fixture *f, size_t len, size_t piece)
{
	uint8_t *bytes = pattern(len), *got = malloc(len + piece);
	size_t done = 0;
	ssize_t n = -1;

	while (n != 0) {
		n = read(f->peers, got + done, piece);
		if (n < 0)
			assert_int_equal(errno, EAGAIN);
		else
			done += (size_t)n;
		assert_true(done <= len);
		turning_step(f->loop, UINT64_MAX, "");
	}
	assert_int_equal(done, len);
	assert_memory_equal(got, bytes, len);
	free(bytes);
	free(got);
}

static void expect_end(struct fixture *f, int error)
{
	turn_until(f->loop, f->ended > 0 && loop_discards(f->loop) == 0);
	turn_some(f->loop);
	assert_int_equal(f->ended, 1);
	assert_int_equal(f->error, error);
	assert_false(transfer_under_way(&f->transfer));
}

static void expect_read(struct fixture *f, size_t len)
{
	uint8_t *bytes = pattern(len);

	expect_end(f, 0);
	assert_int_equal(f->got_len, len);
	assert_memory_equal(f->got, bytes, len);
	free(bytes);
}

/* Reading. */

static void assert_transfer_reads(struct fixture *f, size_t limit)
{
	assert_int_equal(transfer_read(&f->transfer, f->ours, limit), 0);
}

TEST(all_is_read_up_to_the_end_in_pieces_of_any_size)
{
	static const size_t lens[] = {0, 1, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE, MANY};
	static const size_t pieces[] = {1000, PIECE, MANY};

	for (size_t i = 0; i < ROWS(lens) * ROWS(pieces) * WAYS; i++) {
		size_t len = lens[i / WAYS % ROWS(lens)];
		struct fixture f;

		set_up_way(&f, (enum way)(i % WAYS), true);
		assert_transfer_reads(&f, MANY);
		assert_true(transfer_under_way(&f.transfer));
		feed(&f, len, pieces[i / WAYS / ROWS(lens)]);
		turn_some(f.loop);
		assert_int_equal(f.ended, 0);
		hang_up(&f);
		expect_read(&f, len);
		tear_down(&f);
	}
}

TEST(a_file_in_memory_is_read_from_its_place_to_its_end)
{
	uint8_t *bytes = pattern(MANY);
	struct fixture f;
	int fd = memfd_create("state", MFD_CLOEXEC);

	assert_int_equal(write(fd, "before", 6), 6);
	assert_int_equal(write(fd, bytes, MANY), MANY);
	lseek(fd, 6, SEEK_SET);
	free(bytes);
	set_up(&f, fd, -1);
	assert_transfer_reads(&f, MANY);
	expect_read(&f, MANY);
	tear_down(&f);
}

TEST(as_much_as_the_limit_is_fine_and_a_byte_more_is_an_error)
{
	static const size_t limits[] = {0, 1, PIECE - 1, PIECE, 2 * PIECE, MANY};

	for (size_t i = 0; i < ROWS(limits); i++) {
		struct fixture f;

		set_up_way(&f, PIPE, true);
		assert_transfer_reads(&f, limits[i]);
		feed(&f, limits[i], PIECE);
		hang_up(&f);
		expect_read(&f, limits[i]);
		tear_down(&f);

		/* Told at once: the other end may never stop. */
		set_up_way(&f, PIPE, true);
		assert_transfer_reads(&f, limits[i]);
		feed(&f, limits[i] + 1, PIECE);
		expect_end(&f, -EFBIG);
		assert_int_equal(write(f.peers, "x", 1), -1);
		assert_int_equal(errno, EPIPE);
		tear_down(&f);
	}
}

TEST(a_writer_that_takes_its_time_costs_nothing_meanwhile)
{
	struct fixture f;

	set_up_way(&f, SOCKET, true);
	assert_transfer_reads(&f, MANY);
	for (unsigned int i = 1; i <= 3; i++) {
		uint64_t before;

		turn_some(f.loop);
		before = loop_completions(f.loop);
		turn_some(f.loop);
		assert_same(loop_completions(f.loop), before);
		assert_int_equal(write(f.peers, "x", 1), 1);
		turn_until(f.loop, f.transfer.len == i);
	}
	hang_up(&f);
	expect_end(&f, 0);
	assert_int_equal(f.got_len, 3);
	tear_down(&f);
}

TEST(what_was_read_is_taken_when_it_can_be)
{
	struct fixture f;

	set_up_way(&f, PIPE, true);
	f.not_yet = 3;
	assert_transfer_reads(&f, MANY);
	feed(&f, MANY, PIECE);
	hang_up(&f);
	expect_read(&f, MANY);
	assert_int_equal(f.asked, 4);
	tear_down(&f);
}

TEST(what_cannot_be_read_is_told)
{
	struct fixture f;
	int fd = open("/", O_RDONLY | O_CLOEXEC);

	set_up(&f, fd, -1);
	assert_transfer_reads(&f, MANY);
	expect_end(&f, -EISDIR);
	tear_down(&f);
}

TEST(without_memory_nothing_is_read)
{
	struct fixture f;

	set_up_way(&f, PIPE, true);
	played.mappings = 1;
	assert_int_equal(transfer_read(&f.transfer, f.ours, MANY), -ENOMEM);
	assert_false(transfer_under_way(&f.transfer));
	close(f.ours);
	tear_down(&f);
}

/* Writing. */

static void begin_writing(struct fixture *f, size_t len)
{
	size_t first = MIN(len, 1000), second = MIN(len - first, 2 * PIECE);
	size_t lens[] = {first, second, len - first - second};
	unsigned int count = 0;

	f->bytes = pattern(len);
	for (size_t at = 0; at < len; at += lens[count++])
		f->pieces[count] = (struct iovec){f->bytes + at, lens[count]};
	transfer_write(&f->transfer, f->ours, f->pieces, count);
	/* Whoever asked is told later. */
	assert_int_equal(f->ended, 0);
	assert_true(transfer_under_way(&f->transfer));
}

TEST(all_is_written_however_it_is_read_and_then_it_ends)
{
	static const size_t lens[] = {0, 1, PIECE, PIECE + 1, MANY};
	static const size_t pieces[] = {777, MANY};

	for (size_t i = 0; i < ROWS(lens) * ROWS(pieces) * WAYS; i++) {
		size_t len = lens[i / WAYS % ROWS(lens)];
		struct fixture f;

		set_up_way(&f, (enum way)(i % WAYS), false);
		begin_writing(&f, len);
		drain(&f, len, pieces[i / WAYS / ROWS(lens)]);
		expect_end(&f, 0);
		tear_down(&f);
	}
}

TEST(a_file_in_memory_gets_all_of_it)
{
	uint8_t *bytes = pattern(MANY), *got = malloc(MANY);
	struct fixture f;
	int fd = memfd_create("state", MFD_CLOEXEC);

	set_up(&f, fd, fcntl(fd, F_DUPFD_CLOEXEC, 0));
	begin_writing(&f, MANY);
	expect_end(&f, 0);
	assert_int_equal(lseek(f.peers, 0, SEEK_END), MANY);
	assert_int_equal(pread(f.peers, got, MANY, 0), MANY);
	assert_memory_equal(got, bytes, MANY);
	free(bytes);
	free(got);
	tear_down(&f);
}

TEST(a_reader_that_stops_reading_costs_nothing_meanwhile)
{
	for (unsigned int way = 0; way < WAYS; way++) {
		struct fixture f;
		uint64_t before;

		set_up_way(&f, (enum way)way, false);
		begin_writing(&f, MANY);
		turn_until(f.loop, f.transfer.done > 0);
		turn_some(f.loop);
		before = loop_completions(f.loop);
		turn_some(f.loop);
		assert_same(loop_completions(f.loop), before);
		assert_int_equal(f.ended, 0);
		drain(&f, MANY, PIECE);
		expect_end(&f, 0);
		tear_down(&f);
	}
}

TEST(a_reader_that_has_gone_is_an_error_and_no_signal)
{
	for (unsigned int i = 0; i < 2 * WAYS; i++) {
		struct fixture f;

		set_up_way(&f, (enum way)(i / 2), false);
		if (i % 2 == 0)
			hang_up(&f);
		begin_writing(&f, MANY);
		if (i % 2 == 1) {
			turn_until(f.loop, f.transfer.done > 0);
			turn_some(f.loop);
			hang_up(&f);
		}
		expect_end(&f, -EPIPE);
		tear_down(&f);
	}
}

/* Closing. */

TEST(closing_in_the_middle_leaves_nothing_and_tells_nobody)
{
	/* Before anything came, between two pieces, and with bytes that wait. */
	for (unsigned int i = 0; i < 6 * WAYS; i++) {
		bool reading = i % 2 == 0;
		struct fixture f;

		set_up_way(&f, (enum way)(i / 6), reading);
		if (reading)
			assert_transfer_reads(&f, MANY);
		else
			begin_writing(&f, MANY);
		if (i % 6 >= 2 && reading)
			feed(&f, 1000, 1000);
		if (i % 6 >= 2)
			turn_some(f.loop);
		if (i % 6 >= 4 && reading)
			assert_int_equal(write(f.peers, "x", 1), 1);
		if (i % 6 >= 4 && !reading)
			assert_true(read(f.peers, (uint8_t[1000]){0}, 1000) > 0);
		tear_down(&f);
		assert_int_equal(f.ended, 0);
	}
}

TEST(closing_during_a_shortage_leaves_nothing)
{
	struct fixture f;

	set_up_way(&f, PIPE, true);
	played.reads = 1000;
	played.result = -ENOMEM;
	assert_transfer_reads(&f, MANY);
	assert_int_equal(write(f.peers, "x", 1), 1);
	turn_until(f.loop, played.reads < 1000);
	turn_some(f.loop);
	tear_down(&f);
	assert_int_equal(f.ended, 0);
}

/* Requests that fail for now. */

static void play_failures(int32_t result)
{
	played.result = result;
	played.reads = played.writes = 3;
	/* The kernel interrupts no poll, and has no reason to answer it with EAGAIN. */
	played.polls = loop_is_shortage(result) ? 1 : 0;
}

/* Who is told that there is nothing to do waits for it; otherwise only the beginning waits. */
static void assert_waits(int32_t result)
{
	assert_int_equal(played.waits, result == -EAGAIN ? 4 : 1);
}

TEST(a_shortage_or_an_interruption_loses_nothing)
{
	static const int32_t results[] = {-ENOMEM, -ENOBUFS, -EINTR, -EAGAIN};

	for (size_t i = 0; i < ROWS(results); i++) {
		struct fixture f;

		set_up_way(&f, PIPE, true);
		play_failures(results[i]);
		assert_transfer_reads(&f, MANY);
		feed(&f, MANY, PIECE);
		hang_up(&f);
		expect_read(&f, MANY);
		assert_int_equal(played.polls + played.reads, 0);
		assert_waits(results[i]);
		tear_down(&f);

		set_up_way(&f, PIPE, false);
		play_failures(results[i]);
		begin_writing(&f, MANY);
		drain(&f, MANY, PIECE);
		expect_end(&f, 0);
		assert_int_equal(played.polls + played.writes, 0);
		assert_waits(results[i]);
		tear_down(&f);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    UNIT(all_is_read_up_to_the_end_in_pieces_of_any_size),
	    UNIT(a_file_in_memory_is_read_from_its_place_to_its_end),
	    UNIT(as_much_as_the_limit_is_fine_and_a_byte_more_is_an_error),
	    UNIT(a_writer_that_takes_its_time_costs_nothing_meanwhile),
	    UNIT(what_was_read_is_taken_when_it_can_be),
	    UNIT(what_cannot_be_read_is_told),
	    UNIT(without_memory_nothing_is_read),
	    UNIT(all_is_written_however_it_is_read_and_then_it_ends),
	    UNIT(a_file_in_memory_gets_all_of_it),
	    UNIT(a_reader_that_stops_reading_costs_nothing_meanwhile),
	    UNIT(a_reader_that_has_gone_is_an_error_and_no_signal),
	    UNIT(closing_in_the_middle_leaves_nothing_and_tells_nobody),
	    UNIT(closing_during_a_shortage_leaves_nothing),
	    UNIT(a_shortage_or_an_interruption_loses_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
