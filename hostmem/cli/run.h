#ifndef HOSTMEM_CLI_RUN_H
#define HOSTMEM_CLI_RUN_H

#include "command.h"

/* `hostmem run [OPTION]... [--] PROGRAM [ARGUMENT]...` */
extern const struct hm_command hm_run_command;

#endif
