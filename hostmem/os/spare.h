#ifndef HOSTMEM_OS_SPARE_H
#define HOSTMEM_OS_SPARE_H

#include <stdbool.h>

/*
 * Mappings kept back, so that memory can be given back where the system allows no more
 * mappings (vm.max_map_count): giving back part of a mapping splits it.
 *
 * They are pages that nobody uses, each a mapping because its neighbours have another
 * access.  `use` merges them, which cannot fail, and so makes room; `keep` splits them
 * again, and as long as that fails no memory is handed out.  So allocation ends while
 * there is still room to free.
 */

/* Called before more is mapped: false if the spare mappings cannot be had. */
bool hm_spare_keep(void);

/* Lets them go; false if they are gone already. */
bool hm_spare_use(void);

#endif
