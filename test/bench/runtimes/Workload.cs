/* The workload of README.md, in C#: for Mono and for CoreCLR. */
using System;
using System.Collections.Generic;
using System.Text;

class Workload
{
	class Item
	{
		public readonly int Number;
		public readonly string Name;

		public Item(int number)
		{
			Number = number;
			Name = "item " + number.ToString();
		}
	}

	static List<Item> MakeItems()
	{
		var items = new List<Item>();

		for (int number = 0; number < 200000; number++)
			items.Add(new Item(number));
		return items;
	}

	static int MakeGarbage()
	{
		int[][] latest = new int[1024][];

		for (int number = 0; number < 10000000; number++)
			latest[number % 1024] = new int[] { number, -number };
		return latest[0].Length;
	}

	static string MakeText()
	{
		var text = new StringBuilder();

		for (int number = 0; number < 400000; number++)
			text.Append(number.ToString()).Append(',');
		return text.ToString();
	}

	static T[] Filled<T>(int length, T value)
	{
		var array = new T[length];

		for (int i = 0; i < length; i++)
			array[i] = value;
		return array;
	}

	static void Main()
	{
		var kept = new List<List<Item>>();
		var buffers = new List<byte[]>();
		var table = new Dictionary<int, string>();
		double[] numbers;
		int result;

		for (int turn = 0; turn < 5; turn++) {
			List<Item> items = MakeItems();

			if (turn % 2 == 0)
				kept.Add(items);
		}
		for (int i = 0; i < 20; i++)
			buffers.Add(Filled<byte>(1 << 20, 1));
		numbers = Filled<double>(4 << 20, 1);
		for (int number = 0; number < 200000; number++)
			table.Add(number, number.ToString());
		result = MakeGarbage() + MakeText().Length;

		Console.WriteLine("peak");
		while (Console.Read() != -1)
			;
		result += kept[2].Count + buffers.Count + numbers.Length + table.Count;
		Console.WriteLine(result);
	}
}
