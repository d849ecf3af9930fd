/*
 * The built-in scripts of the V8 sample: each outgrows its memory in another way, and what
 * follows shows that nothing is lost by it.
 */
#ifndef V8_STORY_H
#define V8_STORY_H

/* Comes before each of them. */
constexpr char story_words[] = R"js(
const print_result = (what, result) => print(`  ${what.padEnd(34)} ${result}`);
const attempt = (what, expected, work) => {
  let result;
  try { result = work(); } catch (error) { result = String(error); }
  print_result(what, result);
  if (String(result) !== expected) throw new Error(`not ${expected}`);
};
const picture = number => new Uint8Array(1 << 20).fill(number % 251);
const album = count => Array.from({ length: count }, (_, number) => picture(number));
const sum = pictures => pictures.reduce((total, bytes) => total + bytes[bytes.length - 1], 0);
)js";

constexpr struct {
	const char *name, *source;
	bool ends; /* at the heap's limit */
} story[] = {
	{ "pictures", R"js(
print('Pictures of 1 MiB each, and lists');
attempt('20 pictures at once', '190', () => sum(album(20)));
attempt('1000 pictures at once', 'RangeError: Array buffer allocation failed',
        () => sum(album(1000)));
attempt('100 MiB for WebAssembly',
        'RangeError: WebAssembly.Memory(): could not allocate memory',
        () => new WebAssembly.Memory({ initial: 1600 }));
attempt('1 MiB, and then 100 more',
        'RangeError: WebAssembly.Memory.grow(): Unable to grow instance memory',
        () => new WebAssembly.Memory({ initial: 16, maximum: 65536 }).grow(1600));
)js",
	  false },
	{ "a list without end", "const list = []; for (;;) list.push({ list });", true },
	{ "one by one", R"js(
attempt('a list of 100000 numbers', '4999950000', () =>
        Array.from({ length: 100000 }, (_, number) => number).reduce((a, b) => a + b));
attempt('1000 pictures, one by one', '124506', () => {
  let total = 0;
  for (let number = 0; number < 1000; number++) total += sum([picture(number)]);
  return total;
});
)js",
	  false },
};

#endif /* V8_STORY_H */
