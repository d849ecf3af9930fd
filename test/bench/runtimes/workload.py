# The workload of README.md, in Python.
import array
import sys


class Item:
    def __init__(self, number):
        self.number = number
        self.name = "item %d" % number


def make_items():
    return [Item(number) for number in range(200000)]


def make_garbage():
    for number in range(2000000):
        pair = [number, -number]
    return len(pair)


def make_text():
    parts = []
    for number in range(400000):
        parts.append("%d," % number)
    return "".join(parts)


kept = []
for turn in range(5):
    items = make_items()
    if turn % 2 == 0:
        kept.append(items)
buffers = [bytearray(b"x") * (1 << 20) for _ in range(20)]
numbers = array.array("d", [0.0]) * (4 << 20)
table = {number: str(number) for number in range(200000)}
result = make_garbage() + len(make_text())

print("peak", flush=True)
sys.stdin.read()
result += len(kept[2]) + len(buffers) + len(numbers) + len(table)
print(result)
