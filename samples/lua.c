/*
 * Lua 5.4 with all of its memory under a host.
 *
 * Lua takes every byte from one function, which allocates, resizes and frees: lua_Alloc.
 * Here it stands on a heap of the host, whose pages are charged to the host's budget.  When
 * the budget refuses, Lua collects its garbage and asks once more; then it raises its own
 * error, "not enough memory", which a script can catch and go on.
 *
 * Its rules, and how they are kept:
 *
 *   - A new size of 0 frees; no other call does.
 *   - A block can always shrink: lua_Alloc may refuse only what grows.  IHostMalloc2's
 *     Realloc may fail at any size, since the block may have to move; sample_resize then
 *     hands out the block as it is.
 *   - The old size, which Lua tells, is not needed: the heap knows its blocks.
 *   - One state is for one thread at a time, so the heap is not MALLOC_THREADSAFE.
 *
 * Until the libraries are in place nothing can be run and nobody can catch an error: those
 * requests are process-critical.  Later ones are task-critical, what is refused there costs
 * the Lua code at work.
 *
 * What does not come by here: what C libraries take for themselves, as the buffers of
 * files.  And since a state owns nothing but such blocks, lua_close leaves the heap empty.
 */
#include "sample_report.h"

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

#include <unistd.h>

enum { STORY_LIMIT = 16 << 20 };

/* One for the process, since the script may end it. */
static struct adapter {
	struct sample host;
	lua_State *lua;
	int argc;
	char **argv; /* of the script */
	bool up;     /* Lua can take a refusal */
	size_t live; /* bytes that Lua has asked for and not given back */
} adapter;

static const char story[] =
	"local names = { 'kettle', 'lamp', 'chair', 'rug', 'clock', 'vase', 'shelf' }\n\n"
	"local function day(number, sales)\n"
	"  for i = 1, 1000 do\n"
	"    local id = number * 1000 + i\n"
	"    sales[#sales + 1] = { id = id, item = names[id % 7 + 1],\n"
	"                          receipt = 'receipt ' .. id,\n"
	"                          cents = id * 7919 % 20000 }\n"
	"  end\n"
	"  return sales\n"
	"end\n\n"
	"local function sum(sales)\n"
	"  local cents = 0\n"
	"  for _, sale in ipairs(sales) do cents = cents + sale.cents end\n"
	"  return cents\n"
	"end\n\n"
	"local function all_at_once(days)\n"
	"  local sales = {}\n"
	"  for number = 1, days do day(number, sales) end\n"
	"  return sum(sales)\n"
	"end\n\n"
	"local function one_by_one(days)\n"
	"  local cents = 0\n"
	"  for number = 1, days do cents = cents + sum(day(number, {})) end\n"
	"  return cents\n"
	"end\n\n"
	"local function try(what, work, ...)\n"
	"  local good, result = pcall(work, ...)\n"
	"  print(('  %-34s %s'):format(what, result))\n"
	"  return good, result\n"
	"end\n\n"
	"print('The tills of a year, a thousand sales a day; in cents')\n"
	"local enough, ten = try('10 days at once', all_at_once, 10)\n"
	"local fits, message = try('365 days at once', all_at_once, 365)\n"
	"local text_fits = try('all receipts as one text', string.rep, 'receipt', 1 << "
	"24)\n"
	"local counts_fit = try('a list of ten million numbers', function()\n"
	"  local list = {}\n"
	"  for i = 1, 1e7 do list[i] = i end\n"
	"  return #list\n"
	"end)\n"
	"local good, year = try('365 days, one by one', one_by_one, 365)\n\n"
	"local cents = 0\n"
	"for id = 1001, 366000 do cents = cents + id * 7919 % 20000 end\n"
	"assert(good and year == cents, 'the sum is wrong')\n"
	"assert(enough and ten == one_by_one(10), 'the sum of ten days is wrong')\n"
	"assert(fits or message == 'not enough memory', message)\n";

static void *lua_alloc(void *context, void *block, size_t old_size, size_t size)
{
	struct adapter *self = context;
	EMemoryCriticalLevel level = self->up ? eTaskCritical : eProcessCritical;
	HRESULT hr;

	if (block == NULL)
		old_size = 0; /* it says what the block is for */
	if (size == 0) {
		(void)sample_free_block(&self->host, block);
		self->live -= old_size;
		return NULL;
	}
	hr = sample_resize(&self->host, block, size, level, &block);
	if (FAILED(hr))
		return NULL;
	self->live += size - old_size;
	return block;
}

/* The C library calls it, since os.exit does not return to main. */
static void finish(void)
{
	struct adapter *self = &adapter;
	HostMemUsage usage = HOSTMEM_USAGE_INIT;
	bool good;

	sample_report(&self->host);
	good = sample_verify(&self->host);
	if (self->live != 0) { /* else os.exit has closed the state */
		size_t count = (size_t)lua_gc(self->lua, LUA_GCCOUNT) * 1024 +
			       (size_t)lua_gc(self->lua, LUA_GCCOUNTB);

		good &= sample_check(count == self->live,
				     "Lua's own count: %zu bytes, to the byte", count);
		lua_close(self->lua);
	}
	IHostMemoryControl_GetUsage(self->host.control, &usage);
	good &= sample_check(self->live == 0 && usage.cbHeap == 0 && usage.cBlocks == 0,
			     "after lua_close: %zu bytes in %llu blocks", usage.cbHeap,
			     (unsigned long long)usage.cBlocks);
	good &= sample_close(&self->host);
	if (!good) {
		fflush(NULL);
		_exit(3);
	}
}

static int open_libraries(lua_State *lua)
{
	luaL_openlibs(lua);
	return 0;
}

/* The script, its arguments in `arg` and in `...`, as with lua5.4; or the story. */
static int run(lua_State *lua)
{
	char **argv = adapter.argv;
	int argc = adapter.argc, status;

	lua_createtable(lua, argc, 1);
	for (int i = 0; i < argc; i++) {
		lua_pushstring(lua, argv[i]);
		lua_rawseti(lua, -2, i - (argc > 1));
	}
	lua_setglobal(lua, "arg");
	if (argc > 1)
		status = luaL_loadfile(lua, argv[1]);
	else
		status = luaL_loadbuffer(lua, story, sizeof(story) - 1, "=story");
	if (status != LUA_OK)
		return lua_error(lua);
	luaL_checkstack(lua, argc, "too many arguments");
	for (int i = 2; i < argc; i++)
		lua_pushstring(lua, argv[i]);
	lua_call(lua, argc > 2 ? argc - 2 : 0, 0);
	return 0;
}

/* Adds to an error where it came from; Lua does not call it if memory is the reason. */
static int describe(lua_State *lua)
{
	luaL_traceback(lua, lua, luaL_tolstring(lua, 1, NULL), 1);
	return 1;
}

static bool call(lua_State *lua, lua_CFunction function)
{
	int status;

	lua_pushcfunction(lua, describe);
	lua_pushcfunction(lua, function);
	status = lua_pcall(lua, 0, 0, -2);
	if (status != LUA_OK)
		fprintf(stderr, "lua: %s\n", lua_tostring(lua, -1));
	lua_settop(lua, 0);
	return status == LUA_OK;
}

static int usage(int status)
{
	fputs("usage: lua [--limit MIB] [SCRIPT [ARGUMENT...]]\n"
	      "Runs a Lua script, or a built-in one, with its memory under a host,\n"
	      "and prints what the host saw.  The exit status is 1 after an error,\n"
	      "and 3 if one of the numbers turned out untrue.\n",
	      status == 0 ? stdout : stderr);
	return status;
}

int main(int argc, char **argv)
{
	struct adapter *self = &adapter;
	size_t limit = 0;
	HRESULT hr;

	if (argc > 1 && strcmp(argv[1], "--help") == 0)
		return usage(0);
	if (!sample_limit(&argc, &argv, &limit) || (argc > 1 && argv[1][0] == '-'))
		return usage(2);
	if (argc == 1 && limit == 0)
		limit = STORY_LIMIT;
	self->argc = argc;
	self->argv = argv;
	hr = sample_open(&self->host, limit, 0);
	if (FAILED(hr) || atexit(finish) != 0) {
		fprintf(stderr, "lua: no host: %s\n", HostMemResultName(hr));
		return 1;
	}
	self->lua = lua_newstate(lua_alloc, self);
	if (self->lua == NULL) {
		fputs("lua: Lua does not start: not enough memory\n", stderr);
		return 1;
	}
	if (!call(self->lua, open_libraries))
		return 1;
	self->up = true;
	printf("%s, its memory from hostmem %s\n\n", LUA_RELEASE, HostMemVersion());
	return call(self->lua, run) ? 0 : 1;
}
