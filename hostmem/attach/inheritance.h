#ifndef HOSTMEM_ATTACH_INHERITANCE_H
#define HOSTMEM_ATTACH_INHERITANCE_H

/* Programs that this one starts find nothing of us in their environment.  Before main, while
 * there is one thread; allocates nothing. */
void hm_inheritance_end(void);

#endif
