# What `./bootstrap demo` runs under a host: ordinary Python, which knows nothing of it.
#
#	demo.py greedy   takes all the memory that there is, three times over
#	demo.py cache    keeps as much as it is allowed to, for 14 seconds
import sys
import time

MIB = 1 << 20


def take_all(held):
    while True:
        held.append(bytearray(MIB))


def greedy():
    for turn in range(1, 4):
        held = []
        try:
            take_all(held)
        except MemoryError as error:
            print(f"  round {turn}: {type(error).__name__} with {len(held)} MiB;"
                  " they are dropped, and all goes on")


# Adds a block; what is oldest makes room for it if that is wanted.
def add(blocks):
    while True:
        try:
            blocks.append(bytearray(MIB))
            return
        except MemoryError:
            del blocks[:1]


def cache():
    blocks = []
    begin = time.monotonic()
    for second in range(1, 14, 2):
        while time.monotonic() < begin + second:
            add(blocks)
            time.sleep(0.001)
        print(f"  {second:2} s  {len(blocks):3} MiB  {'#' * (len(blocks) // 10)}",
              flush=True)


{"greedy": greedy, "cache": cache}[sys.argv[1]]()
