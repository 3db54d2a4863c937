/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Holds what happens when a frontend makes its file shorter under us (R18): that guest's memory is
 * lost and reads as something, its neighbours' stays, and any other SIGBUS still ends the process.
 *
 * Each in a child: the signal is the process's.
 */
#include "unit.h"

#include "gmem_fixture.h"

#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* 0 if the child says so by its exit, else how it ended. */
static int run(int (*child)(void))
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		struct rlimit none = {0};

		setrlimit(RLIMIT_CORE, &none);
		/* cmocka's own handlers aren't ours to test. */
		signal(SIGBUS, SIG_DFL);
		signal(SIGABRT, SIG_DFL);
		_exit(child());
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static struct guest_memory memory[2];
static struct gmem gmems[2];

static void map_both(void)
{
	for (unsigned int i = 0; i < 2; i++) {
		guest_memory_init(&memory[i]);
		gmem_fixture_map_all(&gmems[i], &memory[i]);
	}
}

/* It is set by a signal that the compiler doesn't see coming. */
static bool is_lost(const struct gmem *gmem)
{
	return *(const volatile bool *)&gmem->lost;
}

static volatile uint8_t *byte_of(unsigned int guest, unsigned int region, uint64_t offset)
{
	return gmem_guest(&gmems[guest], memory[guest].region[region].gpa + offset, 1);
}

static int truncated(void)
{
	map_both();
	*byte_of(0, 2, 7) = 'k'; /* in the same file as region 0 */
	*byte_of(1, 1, 7) = 'n';
	if (ftruncate(memory[0].region[1].fd, 0) < 0)
		return 1;
	*byte_of(0, 1, 0) = 'x';
	*byte_of(0, 1, memory[0].region[1].size - 1) = 'y';
	if (!is_lost(&gmems[0]) || is_lost(&gmems[1]))
		return 2;
	if (*byte_of(0, 1, 0) != 'x' || *byte_of(0, 2, 7) != 'k' || *byte_of(1, 1, 7) != 'n')
		return 3;
	gmem_deinit(&gmems[0]);
	if (is_lost(&gmems[0]))
		return 4;
	/* And once more, the other one. */
	if (ftruncate(memory[1].region[0].fd, 0) < 0)
		return 5;
	(void)*byte_of(1, 0, 4096);
	return is_lost(&gmems[1]) ? 0 : 6;
}

static int moved_and_truncated(void)
{
	struct gmem fresh;

	map_both();
	gmem_fixture_map_all(&fresh, &memory[0]);
	gmem_replace(&gmems[0], &fresh);
	if (ftruncate(memory[0].region[1].fd, 0) < 0)
		return 1;
	(void)*byte_of(0, 1, 0);
	return is_lost(&gmems[0]) && !is_lost(&fresh) ? 0 : 2;
}

/* Where no private memory may be had: as with vm.overcommit_memory=2, but for one process. */
static int truncated_without_memory(void)
{
	struct rlimit little = {4096, 4096};

	map_both();
	if (ftruncate(memory[0].region[1].fd, 0) < 0 || setrlimit(RLIMIT_DATA, &little) < 0)
		return 1;
	if (mmap(NULL, memory[0].region[1].size, PROT_READ | PROT_WRITE,
	         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0) != MAP_FAILED)
		return 2;
	*byte_of(0, 1, 0) = 'x';
	*byte_of(0, 1, memory[0].region[1].size - 1) = 'y';
	if (!is_lost(&gmems[0]) || is_lost(&gmems[1]) || *byte_of(0, 1, 0) != 'x')
		return 3;
	return 0;
}

static int somebody_elses(void)
{
	volatile uint8_t *map;
	int fd = memfd_create("other", MFD_CLOEXEC);

	map_both();
	map = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
	(void)*map;
	return 0;
}

TEST(the_guest_whose_file_is_shorter_is_lost_and_no_other)
{
	assert_int_equal(run(truncated), 0);
}

TEST(memory_is_replaced_where_none_may_be_had)
{
	assert_int_equal(run(truncated_without_memory), 0);
}

TEST(memory_that_was_moved_is_guarded_where_it_is)
{
	assert_int_equal(run(moved_and_truncated), 0);
}

TEST(a_bus_error_elsewhere_ends_the_process)
{
	int status = run(somebody_elses);

	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGABRT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    UNIT(the_guest_whose_file_is_shorter_is_lost_and_no_other),
	    UNIT(memory_is_replaced_where_none_may_be_had),
	    UNIT(memory_that_was_moved_is_guarded_where_it_is),
	    UNIT(a_bus_error_elsewhere_ends_the_process),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
