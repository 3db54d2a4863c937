/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Holds the embedded list: order, removal that may come twice, and moving all of it.
 */
#include "unit.h"

#include "base/list.h"
#include "base/macros.h"

#include <string.h>

struct item {
	struct list link;
	char name;
};

/* The names in order, forwards and backwards. */
static void assert_items(const struct list *head, const char *names)
{
	size_t n = 0;

	for (const struct list *link = head->next; link != head; link = link->next) {
		assert_int_equal(container_of((struct list *)link, struct item, link)->name,
		                 names[n]);
		assert_ptr_equal(link->next->prev, link);
		n++;
	}
	assert_int_equal(n, strlen(names));
	assert_int_equal(list_empty(head), n == 0);
	assert_ptr_equal(head->next->prev, head);
}

static void make(struct list *head, struct item *items, const char *names)
{
	list_init(head);
	for (size_t i = 0; names[i]; i++) {
		items[i].name = names[i];
		list_append(head, &items[i].link);
	}
}

TEST(appending_keeps_the_order)
{
	struct item items[3];
	struct list head;

	make(&head, items, "");
	assert_items(&head, "");
	make(&head, items, "abc");
	assert_items(&head, "abc");
}

TEST(prepending_puts_in_front)
{
	struct item items[3], first = {.name = 'x'};
	struct list head;

	make(&head, items, "");
	list_prepend(&head, &first.link);
	assert_items(&head, "x");
	make(&head, items, "abc");
	list_prepend(&head, &first.link);
	assert_items(&head, "xabc");
}

TEST(any_element_can_be_removed)
{
	static const char *const left[] = {"bc", "ac", "ab"};

	for (unsigned int i = 0; i < 3; i++) {
		struct item items[3];
		struct list head;

		make(&head, items, "abc");
		list_remove(&items[i].link);
		assert_items(&head, left[i]);
	}
}

TEST(removing_twice_does_no_harm)
{
	struct item items[3];
	struct list head;

	make(&head, items, "abc");
	list_remove(&items[1].link);
	list_remove(&items[1].link);
	assert_items(&head, "ac");
	assert_true(list_empty(&items[1].link));
	list_append(&head, &items[1].link);
	assert_items(&head, "acb");
}

TEST(taking_moves_all_in_order)
{
	struct item items[3];
	struct list from, to;

	make(&from, items, "abc");
	list_take(&to, &from);
	assert_items(&to, "abc");
	assert_items(&from, "");
	list_take(&from, &to);
	list_take(&to, &from);
	list_take(&from, &to);
	assert_items(&from, "abc");
	make(&from, items, "");
	list_take(&to, &from);
	assert_items(&to, "");
}

TEST(the_safe_loop_lets_its_body_remove_the_element)
{
	struct item items[4];
	struct list head, other;
	size_t seen = 0;

	make(&head, items, "abcd");
	list_init(&other);
	list_for_each_safe (link, &head) {
		list_remove(link);
		list_append(&other, link);
		seen++;
	}
	assert_int_equal(seen, 4);
	assert_items(&head, "");
	assert_items(&other, "abcd");
}

TEST(the_plain_loop_meets_each_once)
{
	struct item items[4];
	char names[5] = "";
	struct list head;

	make(&head, items, "wxyz");
	list_for_each (link, &head)
		names[strlen(names)] = container_of(link, struct item, link)->name;
	assert_string_equal(names, "wxyz");
}

TEST(taking_first_puts_all_in_front_in_order)
{
	struct item items[2], later[2];
	struct list head, from;

	make(&head, items, "");
	make(&from, later, "");
	list_take_first(&head, &from);
	assert_items(&head, "");
	make(&from, later, "cd");
	list_take_first(&head, &from);
	assert_items(&head, "cd");
	assert_items(&from, "");
	make(&from, items, "ab");
	list_take_first(&head, &from);
	assert_items(&head, "abcd");
	list_take_first(&head, &from);
	assert_items(&head, "abcd");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    UNIT(appending_keeps_the_order),
	    UNIT(prepending_puts_in_front),
	    UNIT(any_element_can_be_removed),
	    UNIT(removing_twice_does_no_harm),
	    UNIT(taking_moves_all_in_order),
	    UNIT(the_safe_loop_lets_its_body_remove_the_element),
	    UNIT(the_plain_loop_meets_each_once),
	    UNIT(taking_first_puts_all_in_front_in_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
