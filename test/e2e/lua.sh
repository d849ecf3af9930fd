#!/bin/sh
#
# The Lua sample: what it prints is complete and true, whatever script it runs; a script that
# outgrows the budget gets Lua's own error and goes on; and lua_close leaves nothing.

set -u
top_srcdir=${top_srcdir:-${srcdir:-.}}
top_builddir=${top_builddir:-.}
sample=$top_builddir/samples/lua
runtime=Lua
. "$top_srcdir/test/e2e/sample.sh"
unset LUA_INIT LUA_INIT_5_4 LUA_PATH LUA_PATH_5_4 LUA_CPATH LUA_CPATH_5_4

# The same for a state that the script has closed itself.
true_end()
{
	ended_with "$1" && says '^  ok +after lua_close: 0 bytes in 0 blocks' &&
		says '^  ok +0 blocks kept by the runtime, gone with the heap; 0 is still charged' &&
		says '^  ok +0 kept by the runtime; the last Release' && ! says '^  WRONG'
}

clean()
{
	true_report "$1" && true_end "$1"
}

run
check 'the story runs, every number is true, and nothing is left' clean 0
check 'it says nothing on stderr' [ ! -s "$folder/err" ]
check 'three times it has not enough memory' eval \
	'[ "$(grep -c "not enough memory\$" "$folder/out")" = 3 ]'
check 'then it goes on, and the sum is right' says '365 days, one by one +3649837500'
check 'the host refused' more_than "$(number refused 1)" 2
check 'the limit holds' peak_between 12 16
check 'pages were asked for before Lua was up' more_than "$(number process-critical 1)" 0
check 'and after' more_than "$(number task-critical 1)" 0
check 'blocks came back while it ran' more_than "$(number 'Free' 1)" 1000000

LC_ALL=C run
check 'without UTF-8 the drawing is plain' eval 'clean 0 && ! LC_ALL=C grep -q "[^ -~]" "$folder/out"'

script 'print("arguments", select("#", ...), arg[0], arg[1], ..., _VERSION)'
run "$folder/x" 'one two' three
check 'a script runs as with lua' eval \
	'clean 0 && says "^arguments.2.$folder/x.one two.one two.Lua 5\.4\$"'

# What asks for memory in several ways, and does not know when to stop.
script '
local kinds = {
  tables = function() local t = {} while true do t = { t } end end,
  array = function() local t = {} for i = 1, 1e9 do t[i] = i end end,
  text = function() local s = "x" while true do s = s .. s end end,
  buffer = function()
    return (("x"):rep(1 << 20):gsub(".", function(c) return c:rep(1000) end))
  end,
  closures = function()
    local f = {}
    for i = 1, 1e9 do f[i] = function() return i end end
  end,
  coroutines = function()
    local t = {}
    for i = 1, 1e9 do
      t[i] = coroutine.wrap(function() coroutine.yield() end)
      t[i]()
    end
  end,
  source = function()
    local n = 0
    assert(load(function() n = n + 1 return "x" .. n .. " = " .. n .. " " end))
  end,
}
for turn = 1, 3 do
  for name, work in pairs(kinds) do
    local good, message = pcall(work)
    print(name, good, message)
  end
  local sum = 0
  for i, x in ipairs(table.pack(("1 2 3 4"):byte(1, -1))) do sum = sum + x end
  assert(sum == 298)
end
for i = 1, 20 do collectgarbage() end -- each halves what Lua keeps for names
print("left", collectgarbage("count") < 100)'
run --limit 8 "$folder/x"
check 'who outgrows the budget gets an error and goes on, again and again' eval \
	'clean 0 && [ "$(grep -c "not enough memory" "$folder/out")" = 21 ]'
check 'and all of it can be collected' says '^left.true$'
check 'the limit holds here, too' peak_between 6 8

script 'local t = {} for i = 1, 1e9 do t[i] = {} end'
run --limit 4 "$folder/x"
check 'nobody catches the error' eval \
	'clean 1 && [ "$(cat "$folder/err")" = "lua: not enough memory" ]'

script 'print(#("x"):rep(100 << 20))'
run "$folder/x"
check 'a script has no limit' eval 'clean 0 && says "^104857600" && ! says "the limit"'

script 'os.exit(5)'
run "$folder/x"
check 'os.exit ends it, the state still open' clean 5

script 'os.exit(6, true)'
run "$folder/x"
check 'or closed' true_end 6

script 'local keep <close> = setmetatable({}, { __close = function() print("closed") end })
coroutine.wrap(function() os.exit(true) end)()'
run "$folder/x"
check 'or in a coroutine, with a variable to be closed' eval 'clean 0'

script 'setmetatable({}, { __gc = function() print("finalized", #("x"):rep(100000)) end })'
run "$folder/x"
check 'finalizers run at the end' eval 'clean 0 && says "^finalized.100000"'

script 'local x = '
run "$folder/x"
check 'a syntax error is an error' eval 'clean 1 && grep -q "near <eof>" "$folder/err"'

script 'error("gone wrong")'
run "$folder/x"
check 'so is an error, and it says where' eval \
	'clean 1 && grep -q "gone wrong" "$folder/err" && grep -q "^stack traceback" "$folder/err"'

script 'error({})'
run "$folder/x"
check 'so is one that is no text' eval 'clean 1 && grep -q "^lua: table" "$folder/err"'

run "$folder/missing.lua"
check 'and a script that is not there' eval 'clean 1 && grep -q missing.lua "$folder/err"'

# From a host that has too little to begin with, to one that just suffices.
script 'print(45)'
ends=
for limit in 0.001 0.01 0.05 0.1 0.15 0.2 0.3 0.4 0.6 1 2; do
	run --limit "$limit" "$folder/x"
	case $status in
	0) says '^45$' && clean 0 && ends="$ends up" ;;
	1) grep -q 'not enough memory' "$folder/err" && true_end 1 && ends="$ends refused" ;;
	*) ends="$ends $limit:$status" ;;
	esac
done
printf '%s\n' "$ends" >"$folder/out"
check 'with too little memory Lua does not start, and says so' eval \
	'says "^( refused)+( up)+\$"'

run --help
check 'help' eval 'ended_with 0 && says "^usage: lua"'

run --no-such-option
check 'an unknown option' eval 'ended_with 2 && grep -q "^usage: lua" "$folder/err"'

run --limit 0
check 'a limit that is no size' eval 'ended_with 2 && grep -q "^usage: lua" "$folder/err"'

end_of_tests
