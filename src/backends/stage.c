/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "backends/stage.h"

#include "base/macros.h"

#include <string.h>

void stage_init(struct stage *stage, struct reader *reader, void *bytes, size_t size)
{
	*stage = (struct stage){.reader = reader, .bytes = bytes, .size = size};
}

bool stage_append(struct stage *stage, const void *bytes, size_t len)
{
	if (stage->done == stage->len)
		stage->len = stage->done = 0;
	if (len > stage->size - stage->len)
		return false;
	memcpy(stage->bytes + stage->len, bytes, len);
	stage->len += len;
	return true;
}

size_t stage_room(const struct stage *stage)
{
	size_t size = stage->size - stage->reserve;

	return size > stage->len ? size - stage->len : 0;
}

/* Returns how many bytes were taken. */
static size_t encode(struct stage *stage, const struct iovec *span)
{
	size_t len;

	if (stage->encode)
		return stage->encode(stage, span->iov_base, span->iov_len);
	len = MIN(span->iov_len, stage_room(stage));
	stage_append(stage, span->iov_base, len);
	return len;
}

void stage_fill(struct stage *stage)
{
	char line[READER_GAP_LINE_MAX], unread[READER_UNREAD_LINE_MAX];
	struct iovec spans[2];
	uint64_t gap;
	unsigned int n;
	size_t len = 0;

	if (stage->done < stage->len)
		return;
	stage->len = stage->done = 0;
	stage_append(stage, unread, reader_take_unread_line(stage->reader, unread));
	gap = reader_take_gap(stage->reader);
	if (gap > 0)
		stage_append(stage, line, reader_gap_line(line, gap));
	n = reader_spans(stage->reader, stage_room(stage), spans);
	for (unsigned int i = 0; i < n; i++) {
		size_t taken = encode(stage, &spans[i]);

		len += taken;
		if (taken < spans[i].iov_len)
			break;
	}
	/* Last: the device may be told of the room, and the ring is another one then. */
	if (n > 0)
		reader_taken(stage->reader, len);
}

size_t stage_rest(const struct stage *stage, void **ret_bytes)
{
	*ret_bytes = stage->bytes + stage->done;
	return stage->len - stage->done;
}

void stage_delivered(struct stage *stage, size_t len)
{
	if (len == 0)
		return;
	stage->done += len;
	reader_delivered(stage->reader, stage->done == stage->len);
}

bool stage_pending(const struct stage *stage)
{
	return stage->done < stage->len || reader_has_news(stage->reader);
}
