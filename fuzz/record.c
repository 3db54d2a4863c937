/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * vhost-user-record: between a frontend and a backend, passes everything on and writes down the
 * conversation.
 */
#include "recording.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static const char usage[] =
    "usage: vhost-user-record LISTEN BACKEND OUTPUT\n"
    "\n"
    "Listens for a vhost-user frontend on the socket LISTEN, connects to the backend's socket\n"
    "BACKEND for each frontend, passes messages and files through, and writes the conversation\n"
    "as text (fuzz/FORMAT.md) to OUTPUT, each message as it goes by. Memory, kicks and calls\n"
    "don't go through the socket: of them nothing is recorded, of files only kind and size; nor "
    "is\n"
    "what the backend says on the channel of SET_BACKEND_REQ_FD.\n"
    "\n"
    "Ends at SIGINT or SIGTERM.\n";

#define DEADLINE_MS 10000u

struct recorder {
	struct recording recording;
	unsigned int printed; /* steps that are in the output */
	FILE *output;
	int listener, signals;
	int frontend, backend; /* -1: none */
	const char *backend_path;
	bool first;
	struct frame frame;
};

static void print_new_steps(struct recorder *recorder)
{
	const struct conversation *conversation = &recorder->recording.conversation;

	for (; recorder->printed < conversation->count; recorder->printed++) {
		conversation_print_step(conversation, &conversation->steps[recorder->printed],
		                        recorder->output);
		fputc('\n', recorder->output);
	}
	fflush(recorder->output);
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void disconnect(struct recorder *recorder)
{
	close_fd(&recorder->frontend);
	close_fd(&recorder->backend);
}

static void accept_frontend(struct recorder *recorder)
{
	int fd = accept4(recorder->listener, NULL, NULL, SOCK_CLOEXEC);

	if (fd < 0)
		return;
	disconnect(recorder);
	recorder->frontend = fd;
	recorder->backend = frame_connect(recorder->backend_path, DEADLINE_MS);
	if (recorder->backend < 0) {
		fprintf(stderr, "vhost-user-record: no backend at %s: %s\n", recorder->backend_path,
		        strerror(-recorder->backend));
		disconnect(recorder);
		return;
	}
	if (!recorder->first)
		recording_event(&recorder->recording, CONVERSATION_CONNECT);
	recorder->first = false;
}

/* Passes one message on. False if either side has gone, or makes no sense. */
static bool pass(struct recorder *recorder, int from, int to)
{
	struct frame *frame = &recorder->frame;
	uint32_t header[3];
	bool fine;

	if (frame_receive(from, frame, DEADLINE_MS) != FRAME_OK) {
		frame_close_fds(frame);
		return false;
	}
	if (from == recorder->frontend)
		recording_message(&recorder->recording, frame);
	else
		recording_answer(&recorder->recording, frame);
	header[0] = frame->request;
	header[1] = frame->flags;
	header[2] = frame->size;
	fine = frame_send(to, header, sizeof(header), frame->fds, frame->fds_count, DEADLINE_MS) ==
	           FRAME_OK &&
	       frame_send(to, frame->payload, frame->size, NULL, 0, DEADLINE_MS) == FRAME_OK;
	frame_close_fds(frame);
	return fine;
}

static void pass_or_end(struct recorder *recorder, int from, int to)
{
	if (pass(recorder, from, to))
		return;
	recording_event(&recorder->recording, from == recorder->backend ? CONVERSATION_EXPECT_CLOSED
	                                                                : CONVERSATION_HANGUP);
	disconnect(recorder);
}

/* Until a signal. False if the output can't be written. */
static bool run(struct recorder *recorder)
{
	bool told = false;

	for (;;) {
		struct pollfd fds[] = {
		    {.fd = recorder->signals, .events = POLLIN},
		    {.fd = recorder->listener, .events = POLLIN},
		    {.fd = recorder->backend, .events = POLLIN},
		    {.fd = recorder->frontend, .events = POLLIN},
		};

		if (poll(fds, 4, -1) < 0 && errno != EINTR)
			return false;
		if (fds[0].revents)
			return !ferror(recorder->output);
		/* Answers first: they belong to what was asked before. */
		if (fds[2].revents)
			pass_or_end(recorder, recorder->backend, recorder->frontend);
		else if (fds[3].revents)
			pass_or_end(recorder, recorder->frontend, recorder->backend);
		else if (fds[1].revents)
			accept_frontend(recorder);
		print_new_steps(recorder);
		if (recorder->recording.full && !told)
			fprintf(stderr, "vhost-user-record: that is all a conversation can hold; "
			                "what follows isn't recorded\n");
		told = recorder->recording.full;
	}
}

/* The listening socket, or -errno. */
static int listen_at(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd, r;

	if (strlen(path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	memcpy(address.sun_path, path, strlen(path) + 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(fd, 8) < 0) {
		r = -errno;
		close(fd);
		return r;
	}
	return fd;
}

static int signals(void)
{
	sigset_t set;

	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC);
}

int main(int argc, char **argv)
{
	static struct recorder recorder = {.frontend = -1, .backend = -1, .first = true};
	bool fine;

	if (argc == 2 && strcmp(argv[1], "--help") == 0) {
		fputs(usage, stdout);
		return 0;
	}
	if (argc != 4) {
		fputs(usage, stderr);
		return 2;
	}
	recorder.backend_path = argv[2];
	recorder.signals = signals();
	recorder.output = fopen(argv[3], "w");
	if (!recorder.output || recorder.signals < 0) {
		fprintf(stderr, "vhost-user-record: %s: %s\n", argv[3], strerror(errno));
		return 1;
	}
	recorder.listener = listen_at(argv[1]);
	if (recorder.listener < 0) {
		fprintf(stderr, "vhost-user-record: %s: %s\n", argv[1],
		        strerror(-recorder.listener));
		return 1;
	}
	recording_init(&recorder.recording);
	fprintf(recorder.output, "conversation 1\n");
	fine = run(&recorder);
	unlink(argv[1]);
	disconnect(&recorder);
	recording_deinit(&recorder.recording);
	if (fclose(recorder.output) != 0 || !fine) {
		fprintf(stderr, "vhost-user-record: %s: not all of it could be written\n", argv[3]);
		return 1;
	}
	return 0;
}
