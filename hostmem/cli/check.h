#ifndef HOSTMEM_CLI_CHECK_H
#define HOSTMEM_CLI_CHECK_H

#include "command.h"

/* `hostmem check FILE...` */
extern const struct hm_command hm_check_command;

#endif
