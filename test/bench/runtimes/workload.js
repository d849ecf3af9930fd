// The workload of README.md, in JavaScript.
'use strict';

class Item {
	constructor(number) {
		this.number = number;
		this.name = 'item ' + number;
	}
}

function makeItems() {
	const items = [];

	for (let number = 0; number < 200000; number++)
		items.push(new Item(number));
	return items;
}

function makeGarbage() {
	const latest = [];

	for (let number = 0; number < 20000000; number++)
		latest[number % 1024] = [number, -number];
	return latest[0].length;
}

function makeText() {
	let text = '';

	for (let number = 0; number < 400000; number++)
		text += number + ',';
	return Buffer.from(text).length;
}

const kept = [];
for (let turn = 0; turn < 5; turn++) {
	const items = makeItems();

	if (turn % 2 === 0)
		kept.push(items);
}
const buffers = [];
for (let i = 0; i < 20; i++)
	buffers.push(new Uint8Array(1 << 20).fill(1));
const numbers = new Float64Array(4 << 20).fill(1);
const table = new Map();
for (let number = 0; number < 200000; number++)
	table.set(number, String(number));
let result = makeGarbage() + makeText();

console.log('peak');
process.stdin.resume();
process.stdin.on('end', () => {
	result += kept[2].length + buffers.length + numbers.length + table.size;
	console.log(result);
});
