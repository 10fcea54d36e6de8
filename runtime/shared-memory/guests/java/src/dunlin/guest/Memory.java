package dunlin.guest;

import java.io.IOException;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;
import java.nio.MappedByteBuffer;
import java.nio.channels.FileChannel;

/** The mapped memory, the words of its control page (docs/ring.md), and the order in which they are read and written. */
final class Memory {
    static final int CONTROL_BYTES = 4096;
    static final int LINE_BYTES = 128;
    private static final int MAGIC = 0x474E5244;
    private static final int VERSION = 1;
    private static final VarHandle WORD = MethodHandles.byteBufferViewVarHandle(int[].class, ByteOrder.LITTLE_ENDIAN);

    final MappedByteBuffer bytes;
    final int toGuestBytes;
    final int toAgentBytes;

    Memory(FileChannel file) throws IOException {
        bytes = file.map(FileChannel.MapMode.READ_WRITE, 0, file.size());
        bytes.order(ByteOrder.LITTLE_ENDIAN);
        if (acquire(0) != MAGIC || bytes.getInt(4) != VERSION) {
            throw new IllegalStateException("Cannot open the ring: version " + bytes.getInt(4) + ", expected " + VERSION);
        }
        toGuestBytes = bytes.getInt(8);
        toAgentBytes = bytes.getInt(12);
        if (bytes.capacity() != CONTROL_BYTES + (long) toGuestBytes + toAgentBytes) {
            throw new IllegalStateException("Cannot open the ring: " + bytes.capacity() + " bytes do not hold rings of " + toGuestBytes + " and " + toAgentBytes);
        }
    }

    /** What the peer wrote before it wrote this word may be read after. */
    int acquire(int at) {
        return (int) WORD.getAcquire(bytes, at);
    }

    /** Whoever sees this word sees what was written before, and finds read what was read before. */
    void release(int at, int value) {
        WORD.setRelease(bytes, at, value);
    }

    /** Store-load order, for the sleep handshake: what was written before is seen by whoever wrote what is read after, or the other way round. */
    static void fence() {
        VarHandle.fullFence();
    }
}
