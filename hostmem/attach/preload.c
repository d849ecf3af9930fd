/*
 * The preload library: brings the program that it is loaded into under a host.
 *
 * It has all of the host in it, and asks for nothing but the C library.  What it is to do
 * stands in the environment (settings.h); without that it does nothing at all.  The host is
 * made by a constructor, before main; what was mapped and allocated earlier stays the
 * system's and the C library's.
 *
 * The account is printed where the process ends by its own doing (endings.c).  A program that
 * is killed has none.
 *
 * Locks: none.
 */
#include "account.h"
#include "attached.h"
#include "inheritance.h"
#include "notices.h"
#include "player.h"
#include "slack.h"
#include "hostmem/os/console.h"
#include "hostmem/os/process.h"
#include "hostmem/os/thread.h"

#include <stdlib.h>
#include <string.h>

static struct hm_settings settings;
static struct hm_player player;

static void say(const char *text)
{
	hm_console_write(text, strlen(text));
}

/* What the settings leave to the program's own name. */
static void complete_settings(void)
{
	char name[HM_SETTINGS_PROGRAM];
	const struct hm_profile *profile;

	hm_process_name(name, sizeof(name));
	if (settings.program[0] == '\0')
		(void)strcpy(settings.program, name);
	if (settings.profile[0] == '\0')
		(void)strcpy(settings.profile, hm_profile_of_program(name)->name);
	profile = hm_profile_find(settings.profile);
	if (profile != NULL)
		hm_slack_fill(&settings, profile);
}

static HRESULT create(IHostMemoryControl **control)
{
	HostMemConfig config = HOSTMEM_CONFIG_INIT;
	HostMemAttachment how = HOSTMEM_ATTACHMENT_INIT;
	void *face;
	HRESULT hr;

	config.dwFlags = hm_notices_need_monitor(&settings) ? HOSTMEM_MONITOR_THREAD
							    : HOSTMEM_MONITOR_OFF;
	if (settings.debug_heap)
		config.dwFlags |= HOSTMEM_DEBUG_HEAP;
	how.profile = settings.profile;
	hr = HostMemCreate(&config, &IID_IHostMemoryControl, &face);
	if (FAILED(hr))
		return hr;
	*control = face;
	return HostMemAttach((IUnknown *)face, &how);
}

static HRESULT listen(IHostMemoryControl *control)
{
	const struct hm_account_about about = {
		.program = settings.program,
		.warning = hm_attached.profile->warning,
		.always = settings.summary != 0,
		.fragile = hm_attached.profile->slack_part != 0,
	};
	HRESULT hr = hm_account_begin(control, &about);

	return SUCCEEDED(hr) ? hm_notices_begin(control) : hr;
}

static void nothing(void)
{
}

static void in_child(void)
{
	hm_player_after_fork(&player);
	hm_account_after_fork();
}

static void at_exit(int status, void *state)
{
	(void)state;
	hm_account_end(status != 0);
}

static HRESULT attach(void)
{
	IHostMemoryControl *control;
	HRESULT hr = create(&control);

	if (SUCCEEDED(hr))
		hr = listen(control);
	if (SUCCEEDED(hr))
		hr = hm_player_start(&player, (IUnknown *)control, &settings);
	if (SUCCEEDED(hr))
		hr = hm_fork_handlers(nothing, nothing, in_child);
	if (SUCCEEDED(hr))
		hr = on_exit(at_exit, NULL) == 0 ? S_OK : E_OUTOFMEMORY;
	return hr;
}

__attribute__((constructor)) static void begin(void)
{
	const char *text = getenv(HM_SETTINGS_VARIABLE);

	if (text == NULL)
		return;
	if (hm_settings_read(text, &settings) != 0) {
		say("hostmem: " HM_SETTINGS_VARIABLE
		    " is not what this release of hostmem writes; the program runs "
		    "without a host\n");
		return;
	}
	if (settings.alone != 0 && settings.alone != hm_process_number()) {
		hm_inheritance_end();
		return;
	}
	complete_settings();
	if (FAILED(attach()))
		say("hostmem: the host could not be made, the program runs without "
		    "one\n");
}
