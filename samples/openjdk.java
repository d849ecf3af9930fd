/*
 * What the OpenJDK sample runs: openjdk.c calls the methods of this class.
 *
 * fill takes memory until there is none, drops it and takes it again: each round must come to
 * as much.  fillBuffers does so with direct buffers, which are blocks and not a part
 * of the collected heap.
 *
 * What an OutOfMemoryError asks of a program: it is caught outside of the method that holds
 * what was too much.  Direct buffers are freed some time after they were collected, and a
 * refused one makes nobody collect: the program has to do that.
 */
import com.sun.management.HotSpotDiagnosticMXBean;
import java.lang.management.BufferPoolMXBean;
import java.lang.management.ManagementFactory;
import java.lang.management.MemoryPoolMXBean;
import java.lang.management.MemoryType;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;

final class Story {
	static final int BLOCK = 256 * 1024;
	static final int BUFFER = 4 * 1024 * 1024;
	static final int MOST = 16 * 1024; /* if nobody refuses, that is enough */

	static String words; /* of the last error */

	private static void take(List<Object> taken) {
		while (taken.size() < MOST)
			taken.add(new byte[BLOCK]);
	}

	private static void takeBuffers(List<Object> taken) {
		while (taken.size() < MOST)
			taken.add(ByteBuffer.allocateDirect(BUFFER));
	}

	/* How many there is memory for; -1 if there is no end. */
	private static int count(boolean direct) {
		List<Object> taken = new ArrayList<>(MOST);

		try {
			if (direct)
				takeBuffers(taken);
			else
				take(taken);
		} catch (OutOfMemoryError error) {
			int count = taken.size();

			taken.clear();
			words = error.getMessage();
			return count;
		}
		return -1;
	}

	private static BufferPoolMXBean buffers() {
		for (var pool : ManagementFactory.getPlatformMXBeans(BufferPoolMXBean.class)) {
			if (pool.getName().equals("direct"))
				return pool;
		}
		throw new IllegalStateException("no pool of direct buffers");
	}

	/* Direct buffers are freed some time after a collection, for which a minute is more than
	 * enough; and the heap becomes small again in some steps, one for each collection. */
	private static void settle() throws InterruptedException {
		for (int i = 0; i < 4; i++)
			System.gc();
		for (int i = 0; i < 6000 && buffers().getMemoryUsed() >= BUFFER; i++) {
			System.gc();
			Thread.sleep(10);
		}
	}

	/*
	 * How many of the rounds came to clearly less than the first; -1 if one had no end, or
	 * no beginning.  Clearly: by more than a fourth.  Compiled code comes from the same
	 * budget, and the Parallel collector divides the heap anew each time.
	 */
	private static int rounds(int rounds, boolean direct) throws InterruptedException {
		int first = 0, fewer = 0;

		for (int round = 1; round <= rounds; round++) {
			int count;

			settle();
			count = count(direct);
			if (count <= 0)
				return -1;
			if (round == 1)
				first = count;
			if (count < first - first / 4)
				fewer++;
			System.out.printf("  round %d: %d %s of %d KiB, then OutOfMemoryError: %s%n",
				round, count, direct ? "direct buffers" : "arrays",
				(direct ? BUFFER : BLOCK) / 1024, words);
		}
		return fewer;
	}

	static int fillBuffers(int rounds) throws InterruptedException {
		int fewer;

		System.out.println("Memory is taken until it is refused, and dropped");
		fewer = rounds(rounds, true);
		settle();
		return fewer;
	}

	/* Leaves the heap as large as it has become. */
	static int fill(int rounds) throws InterruptedException {
		return rounds(rounds, false);
	}

	/* What the collected heap has committed; 0 if the collector does not tell of all.  The
	 * Serial one tells of one survivor space where there are two. */
	static long committedHeap() {
		long committed = 0;
		boolean serial = false;

		for (MemoryPoolMXBean pool : ManagementFactory.getMemoryPoolMXBeans()) {
			if (pool.getType() != MemoryType.HEAP)
				continue;
			committed += pool.getUsage().getCommitted();
			if (pool.getName().equals("Survivor Space")) {
				committed += pool.getUsage().getCommitted();
				serial = true;
			}
		}
		return serial ? committed : 0;
	}

	/* What it has reserved. */
	static long reservedHeap() {
		var bean = ManagementFactory.getPlatformMXBean(HotSpotDiagnosticMXBean.class);

		return Long.parseLong(bean.getVMOption("MaxHeapSize").getValue());
	}
}
