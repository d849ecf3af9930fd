/*
 * How cpython.c is called, and what it runs when it is given no script: the till logs of some
 * months.
 *
 * Each month is made, read, summed, stored as JSON, read back and sorted.  Four of them fit
 * under the limit, one after the other.  A whole year at once does not: it ends in Python's
 * MemoryError, and the same program goes on with smaller pieces.
 */
#ifndef CPYTHON_WORKLOAD_H
#define CPYTHON_WORKLOAD_H

#include <stdio.h>

enum { WORKLOAD_LIMIT = 128 << 20 }; /* bytes; the four months need about 100 MiB */

static const char workload[] =
	"import collections, gc, json, random, re, time\n\n"
	"CITIES = 'Lisbon Bergen Kyoto Quito Accra Hobart Turin Tampere'.split()\n"
	"ITEMS = 'kettle lamp chair rug clock vase shelf stool'.split()\n"
	"LINE = re.compile(r'2026-(\\d+)-\\d+ (\\w+) sold (\\w+) x(\\d+) for (\\d+)')\n\n"
	"class Sale:\n"
	"    def __init__(self, month, city, item, pieces, cents):\n"
	"        self.month, self.city, self.item = int(month), city, item\n"
	"        self.pieces, self.cents = int(pieces), int(cents)\n\n"
	"def log(month, lines):\n"
	"    pick = random.Random(month).randrange\n"
	"    for _ in range(lines):\n"
	"        day = f'2026-{month:02}-{pick(28) + 1:02}'\n"
	"        if pick(50) == 0:\n"
	"            yield f'{day} till {pick(99)} is out of paper'\n"
	"        else:\n"
	"            yield (f'{day} {CITIES[pick(8)]} sold {ITEMS[pick(8)]}'\n"
	"                   f' x{pick(9) + 1} for {pick(20000) + 100}')\n\n"
	"def month(number, lines):\n"
	"    text = list(log(number, lines))\n"
	"    sales = [Sale(*m.groups()) for m in map(LINE.match, text) if m]\n"
	"    record = json.dumps([vars(sale) for sale in sales])\n"
	"    copy = json.loads(record)\n"
	"    copy.sort(key=lambda sale: (-sale['cents'], sale['city']))\n"
	"    taken = collections.Counter()\n"
	"    for sale in sales:\n"
	"        taken[sale.city] += sale.cents\n"
	"    assert sum(taken.values()) == sum(sale['cents'] for sale in copy)\n"
	"    return taken, (f'{len(text):6,} lines, {len(sales):6,} sales, '\n"
	"                   f'{len(record) / 1e6:4.1f} MB of JSON, '\n"
	"                   f'most in {taken.most_common(1)[0][0]}')\n\n"
	"started = time.perf_counter()\n"
	"print('Four months of tills: read, summed, stored as JSON, read back, sorted')\n"
	"total = collections.Counter()\n"
	"for number, lines in enumerate((20000, 60000, 90000, 40000), 1):\n"
	"    taken, line = month(number, lines)\n"
	"    print(f'  month {number}: {line}')\n"
	"    total += taken\n"
	"gc.collect()\n"
	"for city, cents in total.most_common(3):\n"
	"    print(f'  {city:8} {cents / 100:14,.2f}')\n"
	"print(f'  in {time.perf_counter() - started:.2f} s')\n\n"
	"print('A year at once, and, if that is too much, month by month')\n"
	"year = None\n"
	"try:\n"
	"    year, line = month(1, 180000)\n"
	"    print(f'  the year: {line}')\n"
	"except MemoryError:\n"
	"    print('  the year: MemoryError')\n"
	"# Not in the handler: the data lives as long as the exception.\n"
	"if year is None:\n"
	"    year = collections.Counter()\n"
	"    for number in range(1, 13):\n"
	"        year += month(number, 15000)[0]\n"
	"for city, cents in year.most_common(1):\n"
	"    print(f'  {city:8} {cents / 100:14,.2f}')\n";

static inline int usage(int status)
{
	fputs("usage: cpython [--limit MIB] [SCRIPT [ARGUMENT...]]\n"
	      "Runs a Python script, or a built-in one, with its memory under a\n"
	      "host, and prints what the host saw.  Options before SCRIPT are those\n"
	      "of python3.  The exit status is Python's, but 3 if one of the numbers\n"
	      "turned out untrue.\n",
	      status == 0 ? stdout : stderr);
	return status;
}

#endif /* CPYTHON_WORKLOAD_H */
