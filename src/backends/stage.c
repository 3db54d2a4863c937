/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "backends/stage.h"

#include "base/macros.h"

#include <string.h>

void stage_init(struct stage *stage, struct reader *reader, void *bytes, size_t size)
{
	*stage = (struct stage){.reader = reader, .growth = 1, .bytes = bytes, .size = size};
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

static void encode(struct stage *stage, const void *bytes, size_t len)
{
	if (stage->encode)
		stage->encode(stage, bytes, len);
	else
		stage_append(stage, bytes, len);
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
	n = reader_spans(stage->reader, (stage->size - stage->len) / stage->growth, spans);
	for (unsigned int i = 0; i < n; i++) {
		encode(stage, spans[i].iov_base, spans[i].iov_len);
		len += spans[i].iov_len;
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
