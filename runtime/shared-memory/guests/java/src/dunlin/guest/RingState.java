package dunlin.guest;

import dunlin.State;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;

/**
 * The function's state. A value is one byte of form (0: bytes, 1: JSON) and its content, the same in every language. When this worker is
 * the only one of its function, what was read and what was committed is remembered, so a key is asked for once.
 */
final class RingState implements State {
    private static final int BYTES = 0;
    private static final int JSON = 1;

    private final StateCache cache;
    private final Worker worker;
    /** Whose changes these are; null: of the event being handled. */
    private final RingEvent bound;

    RingState(StateCache cache, Worker worker, RingEvent bound) {
        this.bound = bound;
        this.cache = cache;
        this.worker = worker;
    }

    @Override
    public Object get(String key) {
        byte[] value = known(key);
        if (value == null) {
            RingEvent answer = worker.request(Wire.STATE_GET, new Head().add(Wire.KEY, key).bytes(), Head.NONE, null);
            value = Wire.has(answer.record, Wire.ABSENT) ? StateCache.ABSENT : answer.body();
            cache.put(key, value);
        }
        return value.length == 0 ? null : decode(value);
    }

    @Override
    public void set(String key, Object value) {
        change(Wire.STATE_SET, key, encode(value));
    }

    @Override
    public void delete(String key) {
        change(Wire.STATE_DELETE, key, StateCache.ABSENT);
    }

    private void change(int kind, String key, byte[] value) {
        RingEvent event = worker.operation(bound, kind, 0, new Head().add(Wire.KEY, key).bytes(), value);
        if (event.changes == null) event.changes = new HashMap<>();
        event.changes.put(key, value);
    }

    private byte[] known(String key) {
        RingEvent event = bound == null ? worker.current() : bound;
        byte[] own = event == null || event.changes == null ? null : event.changes.get(key);
        return own == null ? cache.get(key) : own;
    }

    private static byte[] encode(Object value) {
        byte[] content = value instanceof byte[] bytes ? bytes : Json.text(value).getBytes(StandardCharsets.UTF_8);
        byte[] encoded = new byte[1 + content.length];
        encoded[0] = (byte) (value instanceof byte[] ? BYTES : JSON);
        System.arraycopy(content, 0, encoded, 1, content.length);
        return encoded;
    }

    private static Object decode(byte[] value) {
        if (value[0] == JSON) return Json.parse(new String(value, 1, value.length - 1, StandardCharsets.UTF_8));
        byte[] bytes = new byte[value.length - 1];
        System.arraycopy(value, 1, bytes, 0, bytes.length);
        return bytes;
    }
}
