#ifndef HOSTMEM_OS_PROCESS_H
#define HOSTMEM_OS_PROCESS_H

#include <stddef.h>
#include <stdint.h>

/* What is to be known of this process; nothing is allocated, errno is kept. */

/* The system's number of it; another one in a child, also while that shares our memory. */
uint64_t hm_process_number(void);

/* The name of the file that it executes, without the folder; cut off if it is longer, and ""
 * if it is not known. */
void hm_process_name(char *name, size_t room);

/* ms that its threads have worked, all together. */
uint64_t hm_process_work_ms(void);

#endif
