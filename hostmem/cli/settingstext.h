#ifndef HOSTMEM_CLI_SETTINGSTEXT_H
#define HOSTMEM_CLI_SETTINGSTEXT_H

#include "hostmem/attach/settings.h"

/*
 * Writes settings as hm_settings_read reads them.  `text` has room for HM_SETTINGS_TEXT
 * bytes, which is enough for all settings that there can be; returns the length without
 * the NUL.
 */
size_t hm_settings_write(const struct hm_settings *settings, char *text);

#endif
