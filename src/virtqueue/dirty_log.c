/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "virtqueue/dirty_log.h"

#include "base/checked.h"
#include "base/fd.h"
#include "base/macros.h"

#include <errno.h>
#include <sys/mman.h>

/* Puts other memory in the place of the log, if `addr` is in it. */
static bool on_fault(struct fault_guard *guard, const void *at)
{
	struct dirty_log *log = container_of(guard, struct dirty_log, guard);
	const uint8_t *addr = at, *start = log->map;

	if (addr < start || addr >= start + log->map_len)
		return false;
	log->lost = true;
	return fault_replace(log->map, log->map_len);
}

void dirty_log_init(struct dirty_log *log, struct fd_discarder *discarder)
{
	*log = (struct dirty_log){.discarder = discarder, .fd = -1};
	fault_guard_init(&log->guard, on_fault);
}

void dirty_log_deinit(struct dirty_log *log)
{
	if (!dirty_log_is_there(log))
		return;
	fault_guard_leave(&log->guard);
	fd_discard_map(log->discarder, log->map, log->map_len);
	fd_discard(log->discarder, &log->fd);
	dirty_log_init(log, log->discarder);
}

enum dirty_log_verdict dirty_log_judge(const struct dirty_log_area *area, int fd, uint64_t most)
{
	uint64_t end, file_size, page, start, len;

	if (area->size == 0)
		return DIRTY_LOG_EMPTY;
	if (!checked_add(area->offset, area->size, &end))
		return DIRTY_LOG_OVERFLOW;
	if (fd_inspect_memory(fd, &file_size, &page) < 0)
		return DIRTY_LOG_FILE_KIND;
	if (end > file_size)
		return DIRTY_LOG_FILE_SHORT;
	if (!checked_pages(area->offset, area->size, page, &start, &len) || len > most)
		return DIRTY_LOG_TOO_MUCH;
	return DIRTY_LOG_OK;
}

const char *dirty_log_verdict_text(enum dirty_log_verdict verdict)
{
	static const char *const texts[] = {
	    [DIRTY_LOG_OK] = "fine",
	    [DIRTY_LOG_EMPTY] = "an empty log",
	    [DIRTY_LOG_OVERFLOW] = "a log that passes the end of the address space",
	    [DIRTY_LOG_FILE_KIND] = "a log whose file isn't memfd, tmpfs or hugetlbfs",
	    [DIRTY_LOG_FILE_SHORT] = "a log behind the end of its file",
	    [DIRTY_LOG_TOO_MUCH] = "a log larger than a guest may have mapped here",
	};

	return texts[verdict];
}

int dirty_log_map(struct dirty_log *log, const struct dirty_log_area *area, int fd)
{
	uint64_t file_size, page, start, len;
	void *map;
	int r;

	r = fd_inspect_memory(fd, &file_size, &page);
	if (r < 0)
		return r;
	if (!checked_pages(area->offset, area->size, page, &start, &len))
		return -EINVAL;
	map = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)start);
	if (map == MAP_FAILED)
		return -errno;
	dirty_log_deinit(log);
	log->area = *area;
	log->fd = fd;
	log->map = map;
	log->map_len = len;
	log->bits = (uint8_t *)map + (area->offset - start);
	fault_guard_enter(&log->guard);
	return 0;
}

bool dirty_log_covers(const struct dirty_log_area *area, uint64_t addr, uint64_t len)
{
	uint64_t last;

	return checked_add(addr, len - 1, &last) && last / DIRTY_LOG_PAGE / 8 < area->size;
}

void dirty_log_mark(struct dirty_log *log, uint64_t addr, uint64_t len)
{
	uint64_t last;

	if (!dirty_log_is_there(log) || len == 0 || !checked_add(addr, len - 1, &last))
		return;
	last /= DIRTY_LOG_PAGE;
	for (uint64_t page = addr / DIRTY_LOG_PAGE; page <= last; page++) {
		uint8_t bit = (uint8_t)(1u << page % 8);

		if (page / 8 >= log->area.size)
			return;
		/* Pairs with the frontend's atomic clearing: whoever sees the bit sees the bytes.
		 */
		if (!(__atomic_fetch_or(&log->bits[page / 8], bit, __ATOMIC_RELEASE) & bit))
			log->marked = true;
	}
}
