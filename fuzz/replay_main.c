/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A fuzz target without a fuzzer: gives it each file of the folders named, so that every input that
 * was ever of interest is an ordinary test.
 */
#include "folder.h"
#include "target.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

static void replay(const char *path)
{
	size_t len;
	uint8_t *bytes = folder_read(path, &len), *exact;

	if (!bytes) {
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
		exit(1);
	}
	/* Exactly as long as the input, so that a sanitizer sees who reads on. */
	exact = malloc(len);
	if (!exact && len > 0)
		abort();
	if (len > 0)
		memcpy(exact, bytes, len);
	free(bytes);
	/* The last name that is printed is that of the input that ended the process. */
	printf("%s\n", path);
	fflush(stdout);
	LLVMFuzzerTestOneInput(exact, len);
	free(exact);
}

int main(int argc, char **argv)
{
	size_t count = 0;

	for (int i = 1; i < argc; i++) {
		struct folder folder;
		int r = folder_list(&folder, argv[i], "");

		/* A target without crashes has no folder for them. */
		if (r == -ENOENT)
			continue;
		if (r < 0) {
			fprintf(stderr, "%s: %s\n", argv[i], strerror(-r));
			return 1;
		}
		for (size_t at = 0; at < folder.count; at++, count++)
			replay(folder.paths[at]);
		folder_deinit(&folder);
	}
	if (count == 0) {
		fprintf(stderr, "no inputs\n");
		return 1;
	}
	printf("%zu inputs\n", count);
	return 0;
}
