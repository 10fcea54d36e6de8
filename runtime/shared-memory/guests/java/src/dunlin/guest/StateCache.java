package dunlin.guest;

import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.Map;

/** Encoded values, oldest out first. Not exclusive (another worker may change them): remembers nothing. */
final class StateCache {
    static final byte[] ABSENT = {};
    private static final int BYTES_MAX = 8 << 20;
    private static final int ENTRY_BYTES = 100;

    private final boolean isExclusive;
    private final Map<String, byte[]> values = new LinkedHashMap<>();
    private int bytes;

    StateCache(boolean isExclusive) {
        this.isExclusive = isExclusive;
    }

    byte[] get(String key) {
        return values.get(key);
    }

    void put(String key, byte[] value) {
        if (!isExclusive) return;
        byte[] before = values.remove(key);
        if (before != null) bytes -= cost(key, before);
        values.put(key, value);
        bytes += cost(key, value);
        for (Iterator<Map.Entry<String, byte[]>> oldest = values.entrySet().iterator(); bytes > BYTES_MAX; oldest.remove()) {
            Map.Entry<String, byte[]> entry = oldest.next();
            bytes -= cost(entry.getKey(), entry.getValue());
        }
    }

    /** An event came again: its outcome was not committed, whatever it answered. What was remembered of it is not true. */
    void clear() {
        values.clear();
        bytes = 0;
    }

    private static int cost(String key, byte[] value) {
        return ENTRY_BYTES + key.length() + value.length;
    }
}
