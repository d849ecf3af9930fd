-- The workload of README.md, in Lua.
local function make_items()
	local items = {}
	for number = 1, 200000 do
		items[number] = { number = number, name = "item " .. number }
	end
	return items
end

local function make_garbage()
	local pair
	for number = 1, 1000000 do
		pair = { number, -number }
	end
	return #pair
end

local function make_text()
	local parts = {}
	for number = 0, 399999 do
		parts[#parts + 1] = number .. ","
	end
	return table.concat(parts)
end

local kept = {}
for turn = 0, 4 do
	local items = make_items()
	if turn % 2 == 0 then
		kept[#kept + 1] = items
	end
end
local buffers = {}
for i = 1, 20 do
	buffers[i] = string.rep(string.char(64 + i), 1 << 20)
end
local numbers = {}
for i = 1, 2 << 20 do
	numbers[i] = 1.0
end
local names = {}
for number = 0, 199999 do
	names["key " .. number] = number
end
local result = make_garbage() + #make_text()

print("peak")
io.stdout:flush()
io.read("a")
print(result + #kept[3] + #buffers + #numbers + names["key 199999"])
