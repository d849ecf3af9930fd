/*
 * The standard error, by the system's write and not by stdio: that has locks and buffers of
 * the program's, and may call its malloc, which may be us.
 */
#include "console.h"
#include "system.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

void hm_console_write(const char *text, size_t length)
{
	int kept = errno;

	while (length != 0) {
		long written = hm_system.write(STDERR_FILENO, text, length);

		if (written < 0 && errno != EINTR)
			break;
		if (written > 0) {
			text += written;
			length -= (size_t)written;
		}
	}
	errno = kept;
}

bool hm_console_is_open(void)
{
	int kept = errno;
	bool is_open = fcntl(STDERR_FILENO, F_GETFD) != -1;

	errno = kept;
	return is_open;
}
