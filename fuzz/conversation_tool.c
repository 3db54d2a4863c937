/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * vhost-user-conversation: checks conversations and turns one form into the other, for one file or
 * for a corpus.
 */
#include "conversation.h"
#include "folder.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] =
    "usage: vhost-user-conversation check PATH...\n"
    "       vhost-user-conversation text FILE [OUTPUT]\n"
    "       vhost-user-conversation binary FILE [OUTPUT]\n"
    "       vhost-user-conversation twins FOLDER INTO\n"
    "       vhost-user-conversation messages FOLDER INTO\n"
    "\n"
    "  check     says what is wrong with each conversation, by its line\n"
    "  text      writes a conversation of either form as text, on standard output by default\n"
    "  binary    writes it in the binary form\n"
    "  twins     writes the binary twin of each *.txt below FOLDER into the folder INTO\n"
    "  messages  writes each message sent as an input of the fuzz target `request`\n";

static bool load(struct conversation *conversation, const char *path)
{
	struct conversation_error error;
	size_t len;
	uint8_t *bytes = folder_read(path, &len);
	bool fine;

	conversation_init(conversation);
	if (!bytes) {
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
		return false;
	}
	fine = conversation_read(conversation, bytes, len, &error);
	free(bytes);
	if (!fine) {
		fprintf(stderr, "%s: %s\n", path, error.text);
		conversation_deinit(conversation);
	}
	return fine;
}

/* Closes what was written. Whether all of it is there. */
static bool finish(FILE *to, const char *path)
{
	bool fine = !ferror(to);

	if (fclose(to) == 0 && fine)
		return true;
	fprintf(stderr, "%s: %s\n", path, strerror(errno));
	return false;
}

static bool convert(const char *from, const char *path,
                    void (*write)(const struct conversation *conversation, FILE *to))
{
	struct conversation conversation;
	FILE *to;

	if (!load(&conversation, from))
		return false;
	to = path ? fopen(path, "wb") : stdout;
	if (!to) {
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
		conversation_deinit(&conversation);
		return false;
	}
	write(&conversation, to);
	conversation_deinit(&conversation);
	return finish(to, path ? path : "standard output");
}

static bool check(const char *path)
{
	struct folder folder;
	bool fine = true;
	int r = folder_list(&folder, path, "");

	if (r < 0) {
		fprintf(stderr, "%s: %s\n", path, strerror(-r));
		return false;
	}
	for (size_t i = 0; i < folder.count; i++) {
		struct conversation conversation;

		if (load(&conversation, folder.paths[i]))
			conversation_deinit(&conversation);
		else
			fine = false;
	}
	folder_deinit(&folder);
	return fine;
}

/* INTO/the-path-below-the-folder, with `-` for `/` and another ending. */
static void flat_name(char *ret, size_t size, const char *into, const char *path,
                      const char *ending)
{
	const char *dot = strrchr(path, '.');
	int len = snprintf(ret, size, "%s/", into);

	path += strspn(path, "/");
	snprintf(ret + len, size - (size_t)len, "%.*s%s",
	         dot ? (int)(dot - path) : (int)strlen(path), path, ending);
	for (char *at = ret + len; *at; at++) {
		if (*at == '/')
			*at = '-';
	}
}

/* One byte for the number of descriptors, the header, the payload. */
static bool write_message(const struct conversation_step *step, const char *path)
{
	const uint32_t header[] = {step->request, step->flags, step->size};
	FILE *to = fopen(path, "wb");

	if (!to) {
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
		return false;
	}
	fputc((int)step->fds_count, to);
	for (unsigned int i = 0; i < 12; i++)
		fputc((int)(header[i / 4] >> 8 * (i % 4) & 0xff), to);
	if (step->len > 0)
		fwrite(step->bytes, 1, step->len, to);
	return finish(to, path);
}

/* Names are by what is in them, so that each different message is there once. */
static bool write_messages(const char *from, const char *into)
{
	struct conversation conversation;
	bool fine = load(&conversation, from);

	for (unsigned int i = 0; fine && i < conversation.count; i++) {
		const struct conversation_step *step = &conversation.steps[i];
		uint64_t hash = 0xcbf29ce484222325ull ^ step->fds_count;
		char path[4096];

		if (step->kind != CONVERSATION_SEND)
			continue;
		hash = (hash ^ step->request) * 0x100000001b3ull;
		hash = (hash ^ step->flags) * 0x100000001b3ull;
		hash = (hash ^ step->size) * 0x100000001b3ull;
		for (uint32_t at = 0; at < step->len; at++)
			hash = (hash ^ step->bytes[at]) * 0x100000001b3ull;
		snprintf(path, sizeof(path), "%s/%u-%016llx", into, (unsigned int)step->request,
		         (unsigned long long)hash);
		fine = write_message(step, path);
	}
	if (fine)
		conversation_deinit(&conversation);
	return fine;
}

static bool for_folder(const char *path, const char *into, bool messages)
{
	struct folder folder;
	bool fine = true;
	int r = folder_list(&folder, path, ".txt");

	if (r < 0) {
		fprintf(stderr, "%s: %s\n", path, strerror(-r));
		return false;
	}
	for (size_t i = 0; i < folder.count; i++) {
		const char *from = folder.paths[i];
		char to[4096];

		flat_name(to, sizeof(to), into, from + folder.root, ".bin");
		if (messages ? !write_messages(from, into)
		             : !convert(from, to, conversation_encode))
			fine = false;
	}
	folder_deinit(&folder);
	return fine;
}

int main(int argc, char **argv)
{
	const char *what = argc > 2 ? argv[1] : "";
	bool fine = true;

	if (argc == 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
		fputs(usage, stdout);
		return 0;
	}
	if (strcmp(what, "check") == 0) {
		for (int i = 2; i < argc; i++)
			fine = check(argv[i]) && fine;
		return fine ? 0 : 1;
	}
	if (strcmp(what, "text") == 0 && argc <= 4)
		return convert(argv[2], argv[3], conversation_print) ? 0 : 1;
	if (strcmp(what, "binary") == 0 && argc <= 4)
		return convert(argv[2], argv[3], conversation_encode) ? 0 : 1;
	if (strcmp(what, "twins") == 0 && argc == 4)
		return for_folder(argv[2], argv[3], false) ? 0 : 1;
	if (strcmp(what, "messages") == 0 && argc == 4)
		return for_folder(argv[2], argv[3], true) ? 0 : 1;
	fputs(usage, stderr);
	return 2;
}
