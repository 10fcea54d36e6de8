package dunlin.guest;

import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Map;

/** Writes head items. */
final class Head {
    static final byte[] NONE = {};
    private static final int VALUE_BYTES_MAX = 65_535;
    private static final int KEY_BYTES_MAX = 255;

    private byte[] bytes = new byte[96];
    private int length;

    /** Throws IllegalArgumentException when key or value does not fit its field. */
    Head add(int tag, String value, String key) {
        byte[] valueBytes = value.getBytes(StandardCharsets.UTF_8);
        byte[] keyBytes = key.getBytes(StandardCharsets.UTF_8);
        if (keyBytes.length > KEY_BYTES_MAX || valueBytes.length > VALUE_BYTES_MAX) {
            throw new IllegalArgumentException(
                    "Cannot carry " + (key.isEmpty() ? "item " + tag : key) + ": " + valueBytes.length + " bytes, at most " + VALUE_BYTES_MAX);
        }
        put(tag, keyBytes, valueBytes, valueBytes.length);
        return this;
    }

    Head add(int tag, String value) {
        return add(tag, value, "");
    }

    /** Nothing when there is no value. */
    Head addIfAny(int tag, String value) {
        return value == null || value.isEmpty() ? this : add(tag, value, "");
    }

    Head headers(Map<String, String> headers) {
        headers.forEach((name, value) -> add(Wire.HEADER, String.valueOf(value), name));
        return this;
    }

    /** For people to read: cut where it is too long. */
    Head clipped(int tag, String text) {
        byte[] value = text.getBytes(StandardCharsets.UTF_8);
        put(tag, NONE, value, Math.min(value.length, VALUE_BYTES_MAX));
        return this;
    }

    byte[] bytes() {
        return length == 0 ? NONE : Arrays.copyOf(bytes, length);
    }

    private void put(int tag, byte[] key, byte[] value, int valueLength) {
        int end = length + 4 + key.length + valueLength;
        if (end > bytes.length) bytes = Arrays.copyOf(bytes, Math.max(end, 2 * bytes.length));
        bytes[length] = (byte) tag;
        bytes[length + 1] = (byte) key.length;
        bytes[length + 2] = (byte) valueLength;
        bytes[length + 3] = (byte) (valueLength >> 8);
        System.arraycopy(key, 0, bytes, length + 4, key.length);
        System.arraycopy(value, 0, bytes, length + 4 + key.length, valueLength);
        length = end;
    }
}
