/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "folder.h"

#include <errno.h>
#include <fts.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int add(struct folder *folder, const char *path)
{
	char **paths = realloc(folder->paths, (folder->count + 1) * sizeof(*paths));

	if (!paths)
		return -ENOMEM;
	folder->paths = paths;
	paths[folder->count] = strdup(path);
	return paths[folder->count++] ? 0 : -ENOMEM;
}

static int compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int take_entry(struct folder *folder, const FTSENT *entry, const char *ending)
{
	size_t end = strlen(ending);

	if (entry->fts_info == FTS_ERR || entry->fts_info == FTS_DNR || entry->fts_info == FTS_NS)
		return -entry->fts_errno;
	if (entry->fts_info != FTS_F || entry->fts_namelen < end ||
	    strcmp(entry->fts_name + entry->fts_namelen - end, ending) != 0)
		return 0;
	return add(folder, entry->fts_path);
}

int folder_list(struct folder *ret_folder, const char *path, const char *ending)
{
	char *roots[] = {(char *)path, NULL};
	FTS *walk = fts_open(roots, FTS_LOGICAL | FTS_NOCHDIR, NULL);
	const FTSENT *entry;
	int r = 0;

	*ret_folder = (struct folder){.root = strlen(path)};
	if (!walk)
		return -errno;
	while (r == 0 && (entry = fts_read(walk)))
		r = take_entry(ret_folder, entry, ending);
	fts_close(walk);
	if (r < 0) {
		folder_deinit(ret_folder);
		return r;
	}
	if (ret_folder->count > 0)
		qsort(ret_folder->paths, ret_folder->count, sizeof(char *), compare);
	return 0;
}

void folder_deinit(struct folder *folder)
{
	for (size_t i = 0; i < folder->count; i++)
		free(folder->paths[i]);
	free(folder->paths);
	*folder = (struct folder){0};
}

uint8_t *folder_read(const char *path, size_t *ret_len)
{
	FILE *file = fopen(path, "rb");
	uint8_t *bytes = NULL, *more;
	size_t len = 0, n;

	if (!file)
		return NULL;
	do {
		more = realloc(bytes, len + 65537);
		if (!more)
			break;
		bytes = more;
		n = fread(bytes + len, 1, 65536, file);
		len += n;
		bytes[len] = 0;
	} while (n > 0);
	if (!more || ferror(file)) {
		free(bytes);
		bytes = NULL;
		errno = more ? EIO : ENOMEM;
	}
	fclose(file);
	*ret_len = len;
	return bytes;
}
