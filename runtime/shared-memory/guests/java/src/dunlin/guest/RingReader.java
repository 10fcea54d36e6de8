package dunlin.guest;

/** The consuming end of the ring to the guest. `next` copies one record out: what it returns stays true. One thread reads. */
final class RingReader {
    private static final int PRODUCER = Memory.LINE_BYTES, CONSUMER = 2 * Memory.LINE_BYTES, SLEEPING = 3 * Memory.LINE_BYTES, WANTS_ROOM = 4 * Memory.LINE_BYTES;

    private final Memory memory;
    private final Doorbell doorbell;
    private final Bodies bodies;
    private final int capacity;
    private int index;
    private int produced;
    private int released;

    RingReader(Memory memory, Doorbell doorbell, Bodies bodies) {
        this.memory = memory;
        this.doorbell = doorbell;
        this.bodies = bodies;
        capacity = memory.toGuestBytes;
        index = produced = released = memory.acquire(CONSUMER);
    }

    /** The next record, or null. Its body may be outside: see `body`. */
    byte[] next() {
        while (index != produced || look()) {
            int at = Memory.CONTROL_BYTES + (index & (capacity - 1));
            int size = memory.bytes.getInt(at);
            index += size;
            if (memory.bytes.get(at + Wire.KIND_AT) == Wire.WRAP) continue;
            byte[] record = new byte[size];
            memory.bytes.get(at, record);
            return record;
        }
        return null;
    }

    /** Call it before the record's room is given back: the agent may then write the body's file again. */
    byte[] body(byte[] record) {
        byte[] body = Wire.inlineBody(record);
        return Wire.has(record, Wire.EXTERNAL_BODY) ? bodies.take(body) : body;
    }

    /** Gives the room of what was read back, and rings when the agent waits for it. */
    void release() {
        if (released == index) return;
        released = index;
        memory.release(CONSUMER, index);
        Memory.fence();
        if (memory.acquire(WANTS_ROOM) != 0 && memory.acquire(PRODUCER) - index <= capacity >> 1) {
            memory.release(WANTS_ROOM, 0);
            doorbell.ring();
        }
    }

    /** Asks for a doorbell. False: something has come meanwhile. */
    boolean sleep() {
        memory.release(SLEEPING, 1);
        Memory.fence();
        if (!look()) return true;
        memory.release(SLEEPING, 0);
        return false;
    }

    void wakeUp() {
        memory.release(SLEEPING, 0);
    }

    private boolean look() {
        produced = memory.acquire(PRODUCER);
        return produced != index;
    }
}
