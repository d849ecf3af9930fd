/*
 * What the CoreCLR sample runs: coreclr.c calls the two methods Fill and Survive.
 *
 * Fill takes memory until there is none, drops it and takes it again: each round must come
 * to the same number, but for what CoreCLR itself needs of the same budget meanwhile: a block,
 * and one in a hundred.  Survive does small work while requests fail at random: some rounds end
 * in an OutOfMemoryException, and the next one goes on.
 *
 * What an OutOfMemoryException asks of a program: it is caught outside of the method that
 * holds what was too much, and the handler does nothing but leave.  Until it is left nothing
 * of that is given back, and one more failure in there ends the process.
 */
using System;
using System.Collections.Generic;
using System.Runtime.CompilerServices;

public static class Story
{
	const int BlockSize = 256 * 1024;
	const int MostBlocks = 4096; /* 1 GiB: if nobody refuses, that is enough */
	const int Items = 20000;

	[MethodImpl(MethodImplOptions.NoInlining)]
	static void Take(ref int count)
	{
		var blocks = new List<byte[]>();

		while (count < MostBlocks) {
			var block = new byte[BlockSize];

			for (int i = 0; i < BlockSize; i += 4096)
				block[i] = 1;
			blocks.Add(block);
			count++;
		}
	}

	/* How many blocks there is memory for; -1 if there is no end. */
	static int Count()
	{
		int count = 0;

		try {
			Take(ref count);
		} catch (OutOfMemoryException) {
			return count;
		}
		return -1;
	}

	/* How many of the rounds came to another number than the first. */
	public static int Fill(int rounds)
	{
		int first, different = 0;

		/* What is done for the first time takes memory for good. */
		Console.WriteLine("Memory is taken until it is refused, and dropped");
		first = Count();
		if (first < 0)
			return rounds;
		for (int round = 1; round <= rounds; round++) {
			int count = Count();

			if (round == 1)
				first = count;
			if (Math.Abs(count - first) > 1 + first / 100 || count <= 0)
				different++;
			Console.WriteLine("  round {0}: {1} blocks of {2} KiB, then OutOfMemoryException",
				round, count, BlockSize / 1024);
		}
		return different;
	}

	[MethodImpl(MethodImplOptions.NoInlining)]
	static long Work(int round)
	{
		var texts = new Dictionary<int, string>();
		var lists = new List<int[]>();
		long sum = 0;

		for (int i = 0; i < Items; i++) {
			texts[i] = "item " + (i + round);
			if (i % 100 == 0)
				lists.Add(new int[1000 + i]);
		}
		foreach (var text in texts.Values)
			sum += text.Length;
		foreach (var list in lists)
			sum += list.Length;
		return sum;
	}

	/* What Work comes to. */
	static long Expected(int round)
	{
		long sum = 0;

		for (int i = 0; i < Items; i++) {
			sum += 5;
			for (int number = i + round; number != 0; number /= 10)
				sum++;
			if (i % 100 == 0)
				sum += 1000 + i;
		}
		return sum;
	}

	/* How many rounds were cut short; -1 if one came to a wrong result. */
	public static int Survive(int rounds)
	{
		int cut = 0;

		for (int round = 1; round <= rounds; round++) {
			try {
				if (Work(round) != Expected(round))
					return -1;
			} catch (OutOfMemoryException) {
				cut++;
			}
		}
		return cut;
	}
}
