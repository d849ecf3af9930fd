/* The workload of README.md, in Java. */
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

class Workload {
	static class Item {
		final int number;
		final String name;

		Item(int number)
		{
			this.number = number;
			this.name = "item " + number;
		}
	}

	static List<Item> makeItems()
	{
		List<Item> items = new ArrayList<>();

		for (int number = 0; number < 200000; number++)
			items.add(new Item(number));
		return items;
	}

	static int makeGarbage()
	{
		int[][] latest = new int[1024][];

		for (int number = 0; number < 40000000; number++)
			latest[number % 1024] = new int[] { number, -number };
		return latest[0].length;
	}

	static String makeText()
	{
		StringBuilder text = new StringBuilder();

		for (int number = 0; number < 400000; number++)
			text.append(number).append(',');
		return text.toString();
	}

	public static void main(String[] arguments) throws Exception
	{
		List<List<Item>> kept = new ArrayList<>();
		List<byte[]> buffers = new ArrayList<>();
		double[] numbers = new double[4 << 20];
		Map<Integer, String> table = new HashMap<>();
		int result;

		for (int turn = 0; turn < 5; turn++) {
			List<Item> items = makeItems();

			if (turn % 2 == 0)
				kept.add(items);
		}
		for (int i = 0; i < 20; i++) {
			byte[] buffer = new byte[1 << 20];

			Arrays.fill(buffer, (byte)1);
			buffers.add(buffer);
		}
		Arrays.fill(numbers, 1);
		for (int number = 0; number < 200000; number++)
			table.put(number, Integer.toString(number));
		result = makeGarbage() + makeText().length();

		System.out.println("peak");
		while (System.in.read() != -1)
			;
		result += kept.get(2).size() + buffers.size() + numbers.length + table.size();
		System.out.println(result);
	}
}
