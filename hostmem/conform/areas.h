#ifndef HOSTMEM_CONFORM_AREAS_H
#define HOSTMEM_CONFORM_AREAS_H

#include "trial.h"

/* One area of cases each; suite.c has the list. */
extern const struct hm_area hm_area_com;

#endif
