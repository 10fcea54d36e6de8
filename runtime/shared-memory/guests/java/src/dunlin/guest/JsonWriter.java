package dunlin.guest;

import java.lang.reflect.Array;
import java.util.Map;

final class JsonWriter {
    /** Deeper is a loop, or a document that nobody can read. */
    static final int DEPTH_MAX = 512;

    private JsonWriter() {}

    static void write(StringBuilder out, Object value, int depth) {
        if (depth > DEPTH_MAX) throw new IllegalArgumentException("Cannot write JSON: more than " + DEPTH_MAX + " levels");
        if (value == null || value instanceof Boolean) out.append(value);
        else if (value instanceof CharSequence || value instanceof Character || value instanceof Enum<?>) string(out, value.toString());
        else if (value instanceof Number number) number(out, number);
        else if (value instanceof Map<?, ?> map) object(out, map, depth);
        else if (value instanceof Iterable<?> items) array(out, items, depth);
        else if (value.getClass().isArray()) array(out, value, depth);
        else throw new IllegalArgumentException("Cannot write JSON: " + value.getClass().getName() + " is no Map, Iterable, array, String, Number, Boolean or null");
    }

    private static void number(StringBuilder out, Number value) {
        double asDouble = value.doubleValue();
        if (value instanceof Double || value instanceof Float) {
            if (Double.isNaN(asDouble) || Double.isInfinite(asDouble)) throw new IllegalArgumentException("Cannot write JSON: " + value + " is no number there");
        }
        out.append(value);
    }

    private static void object(StringBuilder out, Map<?, ?> map, int depth) {
        String separator = "{";
        for (Map.Entry<?, ?> entry : map.entrySet()) {
            out.append(separator);
            string(out, String.valueOf(entry.getKey()));
            write(out.append(':'), entry.getValue(), depth + 1);
            separator = ",";
        }
        out.append(map.isEmpty() ? "{}" : "}");
    }

    private static void array(StringBuilder out, Iterable<?> items, int depth) {
        out.append('[');
        String separator = "";
        for (Object item : items) {
            write(out.append(separator), item, depth + 1);
            separator = ",";
        }
        out.append(']');
    }

    private static void array(StringBuilder out, Object items, int depth) {
        out.append('[');
        for (int i = 0; i < Array.getLength(items); i++) {
            if (i > 0) out.append(',');
            write(out, Array.get(items, i), depth + 1);
        }
        out.append(']');
    }

    private static void string(StringBuilder out, String text) {
        out.append('"');
        for (int i = 0; i < text.length(); i++) {
            char c = text.charAt(i);
            switch (c) {
                case '"' -> out.append("\\\"");
                case '\\' -> out.append("\\\\");
                case '\n' -> out.append("\\n");
                case '\r' -> out.append("\\r");
                case '\t' -> out.append("\\t");
                default -> {
                    // Half a surrogate pair has no UTF-8: it goes out escaped, as it came in.
                    if (c < ' ' || Character.isSurrogate(c) && !isPair(text, i)) out.append(String.format("\\u%04x", (int) c));
                    else out.append(c);
                }
            }
        }
        out.append('"');
    }

    private static boolean isPair(String text, int at) {
        if (Character.isHighSurrogate(text.charAt(at))) return at + 1 < text.length() && Character.isLowSurrogate(text.charAt(at + 1));
        return at > 0 && Character.isHighSurrogate(text.charAt(at - 1));
    }
}
