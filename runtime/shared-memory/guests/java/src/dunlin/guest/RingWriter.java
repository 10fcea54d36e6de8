package dunlin.guest;

import java.io.IOException;
import java.util.concurrent.locks.LockSupport;

/** The producing end of the ring to the agent. Any thread may write; whoever holds the monitor does. */
final class RingWriter {
    private static final int PRODUCER = 5 * Memory.LINE_BYTES, CONSUMER = 6 * Memory.LINE_BYTES, SLEEPING = 7 * Memory.LINE_BYTES, WANTS_ROOM = 8 * Memory.LINE_BYTES;
    /** The bell comes earlier; this bounds the wait when two threads want room and one of them took the other's flag down. */
    private static final int ROOM_WAIT_MS = 20;
    private static final int REFERENCE_BYTES_MAX = 64;
    /** id, times, source, attempt and boot are the agent's to fill in. */
    private static final byte[] ZEROS = new byte[Wire.HEADER_BYTES];

    private final Memory memory;
    private final Doorbell doorbell;
    private final Bodies bodies;
    private final Thread reader = Thread.currentThread();
    private final int capacity;
    private final int dataAt;
    private int index;
    private int consumed;
    /** Up to here the agent was rung, or was awake and looks by itself before it sleeps. */
    private int rung;

    RingWriter(Memory memory, Doorbell doorbell, Bodies bodies) {
        this.memory = memory;
        this.doorbell = doorbell;
        this.bodies = bodies;
        capacity = memory.toAgentBytes;
        dataAt = Memory.CONTROL_BYTES + memory.toGuestBytes;
        index = rung = memory.acquire(PRODUCER);
        consumed = memory.acquire(CONSUMER);
    }

    /** Waits for room. Throws IllegalArgumentException for what never fits, IOException when a large body has no room outside. */
    synchronized void write(int kind, int flags, int status, long ticket, byte[] head, byte[] body) throws IOException {
        while (!tryWrite(kind, flags, status, ticket, head, body)) {
            ring();
            // Only the reading thread hears the doorbell: a byte that another one took would be missing where it sleeps.
            if (Thread.currentThread() == reader) doorbell.await(ROOM_WAIT_MS);
            else LockSupport.parkNanos(ROOM_WAIT_MS * 100_000L);
        }
    }

    /** Publishes one record. False: no room, and the agent has been asked for a doorbell. */
    synchronized boolean tryWrite(int kind, int flags, int status, long ticket, byte[] head, byte[] body) throws IOException {
        int size = recordSize(head.length, body.length);
        if (size > capacity >> 2 || body.length > capacity) {
            int sizeOutside = recordSize(head.length, REFERENCE_BYTES_MAX);
            if (sizeOutside > capacity >> 1 || body.length > Bodies.BODY_BYTES_MAX) {
                throw new IllegalArgumentException("Cannot send " + head.length + " bytes of head and " + body.length + " bytes of body: too large");
            }
            if (body.length > REFERENCE_BYTES_MAX) {
                if (!hasRoom(sizeOutside)) return false;
                body = bodies.put(body, memory.acquire(CONSUMER) == index);
                flags |= Wire.EXTERNAL_BODY;
                size = recordSize(head.length, body.length);
            }
        }
        int at = index & (capacity - 1);
        int tail = capacity - at;
        int needed = size <= tail ? size : tail + size;
        if (needed > capacity - (index - consumed) && !hasRoom(needed)) return false;
        if (needed != size) {
            memory.bytes.putInt(dataAt + at, tail).putInt(dataAt + at + 4, Wire.WRAP);
            at = 0;
        }
        put(dataAt + at, size, kind, flags, status, ticket, head, body);
        index += needed;
        memory.release(PRODUCER, index);
        return true;
    }

    /** Wakes the agent if it sleeps. */
    synchronized void ring() {
        if (rung == index) return;
        rung = index;
        Memory.fence();
        if (memory.acquire(SLEEPING) == 0) return;
        memory.release(SLEEPING, 0);
        doorbell.ring();
    }

    private void put(int at, int size, int kind, int flags, int status, long ticket, byte[] head, byte[] body) {
        int bodyAt = at + Wire.HEADER_BYTES + head.length;
        int end = bodyAt + body.length;
        memory.bytes.put(at, ZEROS);
        memory.bytes.putInt(at, size).put(at + Wire.KIND_AT, (byte) kind).put(at + Wire.FLAGS_AT, (byte) flags).putShort(at + Wire.STATUS_AT, (short) status);
        memory.bytes.putLong(at + Wire.TICKET_AT, ticket).putInt(at + Wire.HEAD_LENGTH_AT, head.length).putInt(at + Wire.BODY_LENGTH_AT, body.length);
        memory.bytes.put(at + Wire.HEADER_BYTES, head).put(bodyAt, body).put(end, ZEROS, 0, at + size - end);
    }

    /** Flag first, look again after: the agent publishes its index before it looks at the flag. */
    private boolean hasRoom(int needed) {
        consumed = memory.acquire(CONSUMER);
        if (needed <= capacity - (index - consumed)) return true;
        memory.release(WANTS_ROOM, 1);
        Memory.fence();
        consumed = memory.acquire(CONSUMER);
        if (needed > capacity - (index - consumed)) return false;
        memory.release(WANTS_ROOM, 0);
        return true;
    }

    /** Of a body beyond any ring the sum may pass 2^31; its own length is looked at apart. */
    private static int recordSize(int headLength, int bodyLength) {
        return (int) Math.min((headLength + (long) bodyLength + Wire.HEADER_BYTES + 7) & -8L, Integer.MAX_VALUE & -8);
    }
}
