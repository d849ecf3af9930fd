#ifndef HOSTMEM_CLI_UTF8_H
#define HOSTMEM_CLI_UTF8_H

/*
 * Bytes of the well-formed character at the start of `text`, 1 to 4; 0 if it begins with
 * none.  A NUL ends the text, and is a character of one byte.
 */
unsigned hm_utf8_length(const char *text);

#endif
