# The workload of README.md, in Ruby.
Item = Struct.new(:number, :name)

def make_items
  Array.new(200_000) { |number| Item.new(number, "item #{number}") }
end

def make_garbage
  pair = nil
  3_000_000.times { |number| pair = [number, -number] }
  pair.length
end

def make_text
  text = +''
  400_000.times { |number| text << number.to_s << ',' }
  text
end

kept = []
5.times do |turn|
  items = make_items
  kept << items if turn.even?
end
buffers = Array.new(20) { 'x' * (1 << 20) }
numbers = Array.new(4 << 20, 1.0)
table = {}
200_000.times { |number| table[number] = number.to_s }
result = make_garbage + make_text.length

puts 'peak'
$stdout.flush
$stdin.read
puts result + kept[2].length + buffers.length + numbers.length + table.length
