/*
 * Intrusive doubly linked lists.  A head and an entry are the same thing; an
 * entry that is in no list points at itself or is all zero.
 */
#pragma once

#include "core/base.h"

struct list {
	struct list *next, *prev;
};

static inline void list_init(struct list *l)
{
	l->next = l->prev = l;
}

static inline bool list_empty(const struct list *l)
{
	return l->next == l || !l->next;
}

static inline void list_append(struct list *head, struct list *entry)
{
	entry->next = head;
	entry->prev = head->prev;
	head->prev->next = entry;
	head->prev = entry;
}

/* Harmless for an entry that is in no list. */
static inline void list_remove(struct list *entry)
{
	if (!entry->next)
		return;
	entry->next->prev = entry->prev;
	entry->prev->next = entry->next;
	entry->next = entry->prev = NULL;
}

#define list_entry(ptr, type, member) container_of(ptr, type, member)

#define list_first(head, type, member) list_entry((head)->next, type, member)

/* `next` keeps the place while the entry at hand goes away. */
#define list_for_each_safe(at, safe, head)                                     \
	for (at = (head)->next, safe = at->next; at != (head);                 \
	     at = safe, safe = at->next)
