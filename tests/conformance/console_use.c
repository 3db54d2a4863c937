/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Printing, typing and checking one endless pattern. See console_use.h.
 */
#include "console_use.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PIECE 65536u

struct bed_guest *new_bare_network_guest(uint64_t history)
{
	return bed_new(&(struct bed_options){.network = true, .listens = true, .history = history});
}

struct bed_guest *new_network_guest(uint64_t history)
{
	struct bed_guest *guest = new_bare_network_guest(history);

	bed_console(guest, NULL);
	assert_true(console_driver_bring_up(&guest->console));
	return guest;
}

/* ---- printing ---- */

size_t offer_printed(struct bed_guest *guest, uint64_t pos, uint64_t size)
{
	static uint8_t bytes[PIECE];
	size_t n = size < PIECE ? (size_t)size : PIECE;

	support_fill_pattern(bytes, n, pos);
	return console_driver_offer(&guest->console, bytes, n);
}

void print(struct bed_guest *guest, uint64_t pos, size_t size)
{
	static uint8_t bytes[PIECE];

	for (size_t n; size > 0; pos += n, size -= n) {
		n = size < PIECE ? size : PIECE;
		support_fill_pattern(bytes, n, pos);
		console_driver_transmit(&guest->console, bytes, n);
	}
}

void expect_printed(struct tcp_client *client, uint64_t pos, size_t size)
{
	uint8_t *bytes = malloc(size);

	assert_non_null(bytes);
	support_fill_pattern(bytes, size, pos);
	tcp_client_expect(client, bytes, size);
	free(bytes);
}

/* ---- checking ---- */

/* The line at `data`, if it is whole; its length, 0 if it isn't whole yet. */
static size_t take_gap_line(const uint8_t *data, size_t size, struct stream_check *check)
{
	static const char begin[] = "\r\n[vhost-user-console: ";
	uint64_t gap = 0;
	char line[128] = {0};
	const uint8_t *end;

	if (size < sizeof(begin) || !(end = memchr(data + 2, '\n', size - 2)))
		return 0;
	assert_true(end - data < (long)sizeof(line));
	memcpy(line, data, (size_t)(end - data) + 1);
	if (!support_is_gap_line(line, &gap))
		fail_msg("at %llu came: %s", (unsigned long long)check->pos, line);
	check->pos += gap;
	check->skipped += gap;
	check->gaps++;
	return (size_t)(end - data) + 1;
}

static size_t take_pattern(const uint8_t *data, size_t size, struct stream_check *check)
{
	static uint8_t bytes[PIECE];
	size_t n = size < PIECE ? size : PIECE, same;

	support_fill_pattern(bytes, n, check->pos);
	for (same = 0; same < n && data[same] == bytes[same]; same++)
		;
	if (same == 0)
		fail_msg("at %llu came the byte %#x", (unsigned long long)check->pos, data[0]);
	check->pos += same;
	return same;
}

void check_piece(struct tcp_client *client, struct stream_check *check)
{
	size_t at = 0, n = 1;

	while (at < client->size && n > 0) {
		if (client->data[at] == '\r')
			n = take_gap_line(client->data + at, client->size - at, check);
		else
			n = take_pattern(client->data + at, client->size - at, check);
		at += n;
	}
	client->size -= at;
	if (at > 0)
		memmove(client->data, client->data + at, client->size);
}

void check_stream(struct tcp_client *client, struct stream_check *check)
{
	tcp_client_read(client, SIZE_MAX);
	check_piece(client, check);
}

struct position_wait {
	struct tcp_client *client;
	struct stream_check *check;
	uint64_t to;
};

static bool is_there(void *arg)
{
	struct position_wait *wait = arg;

	check_stream(wait->client, wait->check);
	return wait->check->pos >= wait->to;
}

void await_position(struct tcp_client *client, struct stream_check *ret_check, uint64_t from,
                    uint64_t to)
{
	struct position_wait wait = {client, ret_check, to};

	*ret_check = (struct stream_check){.pos = from};
	frontend_await(&client->guest->frontend, is_there, &wait, "a client to come that far");
	assert_int_equal(ret_check->pos, to);
}

void print_rest_while_reading(struct bed_guest *guest, uint64_t size, struct tcp_client *client,
                              struct stream_check *check)
{
	struct position_wait wait = {client, check, size};

	frontend_await(&guest->frontend, is_there, &wait, "a client to read all");
	bed_settle(guest->bed);
	console_driver_reap(&guest->console);
	assert_int_equal(driver_outstanding(&guest->console.queue[CONSOLE_TRANSMIT]), 0);
	assert_int_equal(check->pos, size);
}

void print_while_reading(struct bed_guest *guest, uint64_t size, struct tcp_client *client,
                         struct stream_check *check)
{
	uint64_t pos = 0;

	while (pos < size) {
		pos += offer_printed(guest, pos, size - pos);
		bed_turn(guest->bed);
		console_driver_reap(&guest->console);
		check_stream(client, check);
	}
	print_rest_while_reading(guest, size, client, check);
}

/* ---- typing ---- */

size_t send_printed(struct tcp_client *client, uint64_t pos, uint64_t end)
{
	static uint8_t bytes[PIECE];
	size_t n = end - pos < PIECE ? (size_t)(end - pos) : PIECE;

	if (n == 0)
		return 0;
	support_fill_pattern(bytes, n, pos);
	return tcp_client_send(client, bytes, n);
}

size_t take_typed(struct bed_guest *guest, uint64_t pos)
{
	static uint8_t bytes[PIECE], expected[PIECE];
	size_t n, total = 0;

	console_driver_collect(&guest->console);
	while ((n = console_driver_take_input(&guest->console, bytes, PIECE)) > 0) {
		support_fill_pattern(expected, n, pos + total);
		assert_memory_equal(bytes, expected, n);
		total += n;
	}
	return total;
}

struct typing {
	struct bed_guest *guest;
	struct tcp_client *client;
	uint64_t size, typed, read;
};

static bool all_typed(void *arg)
{
	struct typing *typing = arg;

	typing->typed += send_printed(typing->client, typing->typed, typing->size);
	typing->read += take_typed(typing->guest, typing->read);
	return typing->read >= typing->size;
}

void type_and_read(struct bed_guest *guest, struct tcp_client *client, uint64_t size)
{
	struct typing typing = {.guest = guest, .client = client, .size = size};

	frontend_await(&guest->frontend, all_typed, &typing, "all that was typed");
	assert_int_equal(typing.read, size);
}

/* ---- two who type ---- */

/* Client 0 types even bytes, client 1 odd ones. */
static uint8_t marked(unsigned int which, uint64_t pos)
{
	return (uint8_t)(32 + pos % 101 * 2 + which);
}

size_t send_marked(struct tcp_client *client, unsigned int which, uint64_t pos, uint64_t end)
{
	uint8_t bytes[4096];
	size_t n = end - pos < sizeof(bytes) ? (size_t)(end - pos) : sizeof(bytes);

	for (size_t i = 0; i < n; i++)
		bytes[i] = marked(which, pos + i);
	return n > 0 ? tcp_client_send(client, bytes, n) : 0;
}

void check_marked(uint8_t byte, uint64_t pos[2])
{
	unsigned int which = byte % 2;

	assert_int_equal(byte, marked(which, pos[which]));
	pos[which]++;
}

void pause_ms(unsigned int ms)
{
	usleep(ms * 1000);
}
