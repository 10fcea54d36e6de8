package dunlin;

/**
 * The function's own values, committed with the event that changed them. An event sees its own changes at once. A value is bytes or
 * anything that JSON can say, and comes back as such: numbers as Long or Double, objects as Map, arrays as List.
 * Reading belongs to the handler's own thread.
 */
public interface State {
    /** null when there is no such key. */
    Object get(String key);

    void set(String key, Object value);

    void delete(String key);

    default long getLong(String key, long fallback) {
        return get(key) instanceof Number number ? number.longValue() : fallback;
    }

    default double getDouble(String key, double fallback) {
        return get(key) instanceof Number number ? number.doubleValue() : fallback;
    }

    default String getText(String key, String fallback) {
        return get(key) instanceof String text ? text : fallback;
    }
}
