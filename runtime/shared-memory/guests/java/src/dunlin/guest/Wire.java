package dunlin.guest;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;

/** The record's numbers (docs/record.md), and reading them from a record's bytes. */
final class Wire {
    static final int HEADER_BYTES = 64;

    static final int WRAP = 0, EVENT = 1, INIT = 2, STOP = 3, STATE_VALUE = 4, CALL_RESULT = 5, CREDIT = 6;
    static final int READY = 16, RESULT = 17, EMIT = 18, PUBLISH = 19, STATE_SET = 20, STATE_DELETE = 21, STATE_GET = 22, CALL = 23, LOG = 24;
    static final int INIT_FAILED = 25, ACK = 26, CHUNK = 27;
    /** STOP's status: only the drain callback is called. */
    static final int DRAIN_ONLY = 1;

    static final int QOS_MASK = 0x03, RETAIN = 0x04, EXTERNAL_BODY = 0x08, ABSENT = 0x10, REPLAYED = 0x20, CLOCK_SHIFT = 6;
    static final int BATCH_MORE = 0x10, NO_ACK = 0x01, BATCH_FAILED = 0x02;

    static final int TOPIC = 1, CONTENT_TYPE = 2, ORDER_KEY = 3, METHOD = 4, PATH = 5, URL = 6, HEADER = 7, FIELD = 8, TYPE = 9, TYPE_VERSION = 10;
    static final int ERROR = 11, STACK = 12, STREAM = 13, KEY = 14, FUNCTION = 15, FIELDS = 16, SHARD_ID = 17, NUM_SHARDS = 18, OFFSET = 19;

    static final int KIND_AT = 4, FLAGS_AT = 5, STATUS_AT = 6, TICKET_AT = 8, HEAD_LENGTH_AT = 16, BODY_LENGTH_AT = 20, TIME_AT = 24, MONOTONIC_AT = 32;
    static final int ID_AT = 40, SOURCE_AT = 56, ATTEMPT_AT = 58, BOOT_AT = 60;

    private static final VarHandle SHORT = MethodHandles.byteArrayViewVarHandle(short[].class, ByteOrder.LITTLE_ENDIAN);
    private static final VarHandle INT = MethodHandles.byteArrayViewVarHandle(int[].class, ByteOrder.LITTLE_ENDIAN);
    private static final VarHandle LONG = MethodHandles.byteArrayViewVarHandle(long[].class, ByteOrder.LITTLE_ENDIAN);

    private Wire() {}

    static int u16(byte[] record, int at) {
        return (short) SHORT.get(record, at) & 0xffff;
    }

    static int i32(byte[] record, int at) {
        return (int) INT.get(record, at);
    }

    static long i64(byte[] record, int at) {
        return (long) LONG.get(record, at);
    }

    static int kind(byte[] record) {
        return record[KIND_AT];
    }

    static long ticket(byte[] record) {
        return i64(record, TICKET_AT);
    }

    static boolean has(byte[] record, int flag) {
        return (record[FLAGS_AT] & flag) != 0;
    }

    static int bodyAt(byte[] record) {
        return HEADER_BYTES + i32(record, HEAD_LENGTH_AT);
    }

    static byte[] inlineBody(byte[] record) {
        int length = i32(record, BODY_LENGTH_AT);
        byte[] body = new byte[length];
        System.arraycopy(record, bodyAt(record), body, 0, length);
        return body;
    }

    @FunctionalInterface
    interface ItemVisitor {
        void item(int tag, String key, String value);
    }

    /** Each item of the head, unknown tags too; stops at one that ends after the head. */
    static void items(byte[] record, ItemVisitor visitor) {
        int end = bodyAt(record);
        for (int at = HEADER_BYTES; at + 4 <= end;) {
            int keyAt = at + 4;
            int valueAt = keyAt + (record[at + 1] & 0xff);
            int next = valueAt + u16(record, at + 2);
            if (next > end) return;
            visitor.item(record[at] & 0xff, utf8(record, keyAt, valueAt), utf8(record, valueAt, next));
            at = next;
        }
    }

    private static String utf8(byte[] bytes, int from, int to) {
        return new String(bytes, from, to - from, StandardCharsets.UTF_8);
    }
}
