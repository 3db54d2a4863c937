/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "report.h"

#include <stdio.h>

static void print_json_text(const char *text)
{
	putchar('"');
	for (; *text; text++) {
		if (*text == '"' || *text == '\\' || (unsigned char)*text < 0x20)
			printf("\\u%04x", (unsigned char)*text);
		else
			putchar(*text);
	}
	putchar('"');
}

static void print_json(const struct report *report, const struct player *player, const char *name)
{
	printf("%s\n  {\"conversation\": ", report->played > 1 ? "," : "");
	print_json_text(name);
	printf(", \"outcome\": \"%s\"", player_outcome_name(player->outcome));
	if (player->at)
		printf(", \"line\": %u, \"step\": \"%s\"", player->at->line,
		       conversation_kind_name(player->at->kind));
	if (player->why[0]) {
		printf(", \"why\": ");
		print_json_text(player->why);
	}
	putchar('}');
}

void report_conversation(struct report *report, const struct player *player, const char *name)
{
	report->played++;
	report->outcomes[player->outcome]++;
	if (report->json) {
		print_json(report, player, name);
		return;
	}
	if (report->quiet &&
	    (player->outcome == PLAYER_AS_EXPECTED || player->outcome == PLAYER_NOT_FOR_IT))
		return;
	printf("%-11s  %s", player_outcome_name(player->outcome), name);
	if (player->at)
		printf(", line %u, %s", player->at->line, conversation_kind_name(player->at->kind));
	printf(player->why[0] ? ": %s\n" : "%s\n", player->why);
	fflush(stdout);
}

void report_begin(const struct report *report)
{
	if (report->json)
		printf("[");
}

void report_end(const struct report *report)
{
	if (report->json) {
		printf("\n]\n");
		return;
	}
	printf("\n");
	for (unsigned int i = 0; i < PLAYER_OUTCOMES; i++) {
		if (report->outcomes[i] > 0 || i == PLAYER_AS_EXPECTED)
			printf("%-11s  %5u\n", player_outcome_name(i), report->outcomes[i]);
	}
	printf("%-11s  %5u\n", "all", report->played);
}

unsigned int report_rest(const struct report *report)
{
	return report->played - report->outcomes[PLAYER_AS_EXPECTED] -
	       report->outcomes[PLAYER_NOT_FOR_IT];
}
