package dunlin.guest;

import java.util.Map;

/** JSON (RFC 8259), strict: the standard library has none. */
public final class Json {
    private Json() {}

    /** Map (in the document's order), List, String, Long, Double, Boolean or null. Throws IllegalArgumentException. */
    public static Object parse(String text) {
        return new JsonReader(text).document();
    }

    /** Throws IllegalArgumentException for what JSON cannot say: other types, NaN and infinity, loops. */
    public static String text(Object value) {
        StringBuilder out = new StringBuilder();
        JsonWriter.write(out, value, 0);
        return out.toString();
    }

    /** An object of the document, {} when it is something else. */
    @SuppressWarnings("unchecked")
    static Map<String, Object> object(Object value) {
        return value instanceof Map<?, ?> map ? (Map<String, Object>) map : Map.of();
    }
}
