/*
 * Calls as text.
 *
 * Whoever reads a finding wants to make the call himself.  So flags have the names of their
 * header, and what no flag is named for stays a number.
 */
#include "calltext.h"
#include "trial.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct flag {
	DWORD bit;
	const char *name;
};

static const struct flag types[] = {
	{ MEM_COMMIT, "MEM_COMMIT" },
	{ MEM_RESERVE, "MEM_RESERVE" },
	{ MEM_DECOMMIT, "MEM_DECOMMIT" },
	{ MEM_RELEASE, "MEM_RELEASE" },
	{ MEM_RESET, "MEM_RESET" },
	{ MEM_TOP_DOWN, "MEM_TOP_DOWN" },
	{ MEM_WRITE_WATCH, "MEM_WRITE_WATCH" },
	{ MEM_PHYSICAL, "MEM_PHYSICAL" },
	{ MEM_RESET_UNDO, "MEM_RESET_UNDO" },
	{ MEM_LARGE_PAGES, "MEM_LARGE_PAGES" },
};

static const struct flag protections[] = {
	{ PAGE_NOACCESS, "PAGE_NOACCESS" },
	{ PAGE_READONLY, "PAGE_READONLY" },
	{ PAGE_READWRITE, "PAGE_READWRITE" },
	{ PAGE_WRITECOPY, "PAGE_WRITECOPY" },
	{ PAGE_EXECUTE, "PAGE_EXECUTE" },
	{ PAGE_EXECUTE_READ, "PAGE_EXECUTE_READ" },
	{ PAGE_EXECUTE_READWRITE, "PAGE_EXECUTE_READWRITE" },
	{ PAGE_EXECUTE_WRITECOPY, "PAGE_EXECUTE_WRITECOPY" },
	{ PAGE_GUARD, "PAGE_GUARD" },
	{ PAGE_NOCACHE, "PAGE_NOCACHE" },
	{ PAGE_WRITECOMBINE, "PAGE_WRITECOMBINE" },
};

HM_PRINTS(2, 3) static void add(struct hm_call_text *text, const char *format, ...)
{
	size_t length = strlen(text->text);
	va_list arguments;

	va_start(arguments, format);
	(void)vsnprintf(text->text + length, sizeof(text->text) - length, format,
			arguments);
	va_end(arguments);
}

static void add_flags(struct hm_call_text *text, DWORD value, const struct flag *flags,
		      size_t count)
{
	DWORD rest = value;
	const char *between = "";

	for (size_t i = 0; i < count; i++) {
		if ((value & flags[i].bit) == 0)
			continue;
		add(text, "%s%s", between, flags[i].name);
		rest &= ~flags[i].bit;
		between = "|";
	}
	if (rest != 0 || value == 0)
		add(text, "%s0x%x", between, (unsigned)rest);
}

static void add_level(struct hm_call_text *text, EMemoryCriticalLevel level)
{
	static const char *const levels[] = { "eTaskCritical", "eAppDomainCritical",
					      "eProcessCritical" };

	if ((unsigned)level < HM_ROWS(levels))
		add(text, ", %s", levels[level]);
	else
		add(text, ", %d", (int)level);
}

struct hm_call_text hm_text_of(const struct hm_call *call)
{
	static const char *const names[] = { "VirtualAlloc", "VirtualFree",
					     "VirtualProtect", "VirtualQuery" };
	struct hm_call_text text = { "" };

	if (call->address == NULL)
		add(&text, "%s(NULL, ", names[call->method]);
	else
		add(&text, "%s(0x%" PRIxPTR ", ", names[call->method],
		    (uintptr_t)call->address);
	add(&text, call->size == 0 ? "%zu" : "0x%zx", call->size);
	if (call->method == HM_VIRTUAL_ALLOC || call->method == HM_VIRTUAL_FREE) {
		add(&text, ", ");
		add_flags(&text, call->type, types, HM_ROWS(types));
	}
	if (call->method == HM_VIRTUAL_ALLOC || call->method == HM_VIRTUAL_PROTECT) {
		add(&text, ", ");
		add_flags(&text, call->protect, protections, HM_ROWS(protections));
	}
	if (call->method == HM_VIRTUAL_ALLOC)
		add_level(&text, call->level);
	add(&text, ")");
	return text;
}
