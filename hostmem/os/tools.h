#ifndef HOSTMEM_OS_TOOLS_H
#define HOSTMEM_OS_TOOLS_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Tools that watch a program's memory: what they are told about blocks, so that they find
 * in a heap of ours what they find in malloc's.
 *
 * Whether there is one does not change during a process.  Where there is none the rest
 * does nothing.
 *
 * A place is what the heap has for one block: [base, base + length).
 */
bool hm_tools_watch(void);

/*
 * A program that defines this function keeps its heaps from tools, and so as they are
 * without one.  It is never called.  Our own tests do, but for those that are about tools.
 */
void hostmem_hides_blocks(void) __attribute__((weak, visibility("default")));

/* Of the place, the block may be used and nothing else. */
struct hm_tools_place {
	void *base;
	size_t length; /* bytes */
};
void hm_tools_give(const struct hm_tools_place *place, void *block, size_t size,
		   bool zeroed);
/* The block has another size. */
void hm_tools_resize(const struct hm_tools_place *place, void *block, size_t before,
		     size_t size);
/* It has been freed: nobody may use it. */
void hm_tools_take(void *block, size_t size);
/* There is no block any more: everybody may use the place, contents undefined. */
void hm_tools_forget(const struct hm_tools_place *place);

#endif
