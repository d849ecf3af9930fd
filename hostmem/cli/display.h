#ifndef HOSTMEM_CLI_DISPLAY_H
#define HOSTMEM_CLI_DISPLAY_H

#include <stdint.h>
#include <stdio.h>

/* A figure as people read it; a value, so that one line may have several. */
struct hm_display {
	char text[24];
};

/* Bytes, in the largest unit of which there is one: "0 B", "4 KiB", "23.5 GiB", "512 MiB".
 * Rounded to a tenth below 100. */
struct hm_display hm_display_size(uint64_t bytes);

/* How much of `limit` that is, rounded down: "22 %", "130 %"; of nothing, "100 %". */
struct hm_display hm_display_share(uint64_t used, uint64_t limit);

/* "100 ms", "2 s", "2.5 s" */
struct hm_display hm_display_time(uint32_t ms);

/* Bytes of others: text as it is, what would move the cursor or is no text as "\x1b". */
void hm_display_text(FILE *out, const char *text);
/* Bytes of the character at the start of `text` that is shown as it is; 0: it begins with a
 * byte that is shown as "\x1b".  Not for the NUL at the end. */
unsigned hm_display_length(const char *text);

#endif
