#ifndef HOSTMEM_OS_CONTAINER_H
#define HOSTMEM_OS_CONTAINER_H

#include <stddef.h>

/* The structure of which `pointer` is the member `member`. */
#define hm_container_of(pointer, type, member) \
	((type *)(void *)((char *)(pointer)-offsetof(type, member)))
#define hm_const_container_of(pointer, type, member) \
	((const type *)(const void *)((const char *)(pointer)-offsetof(type, member)))

#endif
