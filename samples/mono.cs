/*
 * What the Mono sample runs: mono.c calls the methods of this class.
 *
 * Churn makes small objects and drops them: Mono maps, trims and unmaps blocks all the time, and
 * none of that is refused.  Fill takes large arrays until there is no memory, drops them and takes them again: each round
 * must come to the same number.  Survive does so with other sizes while some of the requests
 * fail at random: some rounds end in an OutOfMemoryException, and the next one goes on.
 *
 * Only large objects have that exception.  For a small one Mono asks for 16 KiB, and if these
 * are refused its process ends; so nothing here needs many of them.
 */
using System;
using System.Runtime.CompilerServices;

public static class Story
{
	const int BlockSize = 2 << 20;
	const int MostBlocks = 2048; /* 4 GiB: if nobody refuses, that is enough */
	const int Arrays = 3;

	static object[] small;

	/* So many rounds of 200000 objects; how many of them are not there. */
	public static int Churn(int rounds)
	{
		int missing = 0;

		for (int round = 0; round < rounds; round++) {
			small = new object[100000];
			for (int i = 0; i < small.Length; i++)
				small[i] = new object[] { i };
			for (int i = 0; i < small.Length; i++)
				missing += (int)((object[])small[i])[0] == i ? 0 : 1;
			small = null;
			GC.Collect();
		}
		return missing;
	}

	[MethodImpl(MethodImplOptions.NoInlining)]
	static void Take(byte[][] blocks, ref int count)
	{
		while (count < MostBlocks) {
			var block = new byte[BlockSize];

			for (int i = 0; i < BlockSize; i += 4096)
				block[i] = 1;
			blocks[count++] = block;
		}
	}

	/* How many blocks there is memory for; -1 if there is no end. */
	static int Count(byte[][] blocks)
	{
		int count = 0;

		Array.Clear(blocks, 0, blocks.Length);
		GC.Collect();
		try {
			Take(blocks, ref count);
		} catch (OutOfMemoryException) {
			return count;
		}
		return -1;
	}

	/* How many of the rounds came to another number than the first.  The last one keeps what
	 * it has, until Drop. */
	static byte[][] kept;

	public static int Fill(int rounds)
	{
		int first, different = 0;

		kept = new byte[MostBlocks][];
		/* What is done for the first time takes memory for good. */
		Console.WriteLine("Memory is taken until it is refused, and dropped");
		first = Count(kept);
		for (int round = 1; round <= rounds; round++) {
			int count = Count(kept);

			if (round == 1)
				first = count;
			if (count != first || count <= 0)
				different++;
			Console.WriteLine("  round {0}: {1} arrays of {2} KiB, then OutOfMemoryException",
				round, count, BlockSize / 1024);
		}
		return different;
	}

	public static int Drop(int collections)
	{
		kept = null;
		for (int i = 0; i < collections; i++)
			GC.Collect();
		return 0;
	}

	[MethodImpl(MethodImplOptions.NoInlining)]
	static long Work(int round)
	{
		var arrays = new int[Arrays][];
		long sum = 0;

		for (int i = 0; i < Arrays; i++) {
			var array = new int[(1 + (i + round) % 4) << 18];

			array[array.Length - 1] = i;
			if (array[0] != 0)
				return -1; /* it has to be zero */
			array[0] = round;
			arrays[i] = array;
		}
		foreach (var array in arrays)
			sum += array[0] + array[array.Length - 1];
		return sum;
	}

	/* What Work comes to. */
	static long Expected(int round)
	{
		return (long)Arrays * round + Arrays * (Arrays - 1) / 2;
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
