package dunlin.guest;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

final class JsonReader {
    private final String text;
    private int at;

    JsonReader(String text) {
        this.text = text;
    }

    Object document() {
        Object value = value(0);
        skipSpace();
        if (at < text.length()) throw wrong("the end");
        return value;
    }

    private Object value(int depth) {
        if (depth > JsonWriter.DEPTH_MAX) throw wrong("at most " + JsonWriter.DEPTH_MAX + " levels");
        skipSpace();
        switch (at < text.length() ? text.charAt(at) : '\0') {
            case '{':
                return object(depth);
            case '[':
                return array(depth);
            case '"':
                return string();
            case 't':
                return word("true", true);
            case 'f':
                return word("false", false);
            case 'n':
                return word("null", null);
            default:
                return number();
        }
    }

    private Map<String, Object> object(int depth) {
        Map<String, Object> map = new LinkedHashMap<>();
        at++;
        skipSpace();
        if (takes('}')) return map;
        do {
            skipSpace();
            if (at >= text.length() || text.charAt(at) != '"') throw wrong("a name");
            String name = string();
            skipSpace();
            if (!takes(':')) throw wrong("a colon");
            map.put(name, value(depth + 1));
            skipSpace();
        } while (takes(','));
        if (!takes('}')) throw wrong("a comma or }");
        return map;
    }

    private List<Object> array(int depth) {
        List<Object> list = new ArrayList<>();
        at++;
        skipSpace();
        if (takes(']')) return list;
        do {
            list.add(value(depth + 1));
            skipSpace();
        } while (takes(','));
        if (!takes(']')) throw wrong("a comma or ]");
        return list;
    }

    private String string() {
        int start = ++at;
        while (at < text.length() && text.charAt(at) != '"' && text.charAt(at) != '\\' && text.charAt(at) >= ' ') at++;
        if (takes('"')) return text.substring(start, at - 1);
        StringBuilder out = new StringBuilder().append(text, start, at);
        while (!takes('"')) {
            if (at >= text.length() || text.charAt(at) < ' ') throw wrong("the end of a string");
            char c = text.charAt(at++);
            out.append(c == '\\' ? escaped() : c);
        }
        return out.toString();
    }

    private char escaped() {
        char c = at < text.length() ? text.charAt(at++) : '\0';
        return switch (c) {
            case '"', '\\', '/' -> c;
            case 'b' -> '\b';
            case 'f' -> '\f';
            case 'n' -> '\n';
            case 'r' -> '\r';
            case 't' -> '\t';
            case 'u' -> unicode();
            default -> throw wrong("an escape");
        };
    }

    private char unicode() {
        int code = 0;
        for (int end = at + 4; at < end; at++) {
            int digit = at < text.length() && text.charAt(at) < 128 ? Character.digit(text.charAt(at), 16) : -1;
            if (digit < 0) throw wrong("four hex digits");
            code = code << 4 | digit;
        }
        return (char) code;
    }

    private Object word(String word, Object value) {
        if (!text.startsWith(word, at)) throw wrong("a value");
        at += word.length();
        return value;
    }

    /** Whole numbers that a long holds are Long, all others Double. */
    private Object number() {
        int start = at;
        takes('-');
        int digitsAt = at;
        int digits = digits();
        if (digits == 0 || digits > 1 && text.charAt(digitsAt) == '0') {
            at = start;
            throw wrong("a value");
        }
        boolean isWhole = true;
        if (takes('.')) {
            isWhole = false;
            if (digits() == 0) throw wrong("a digit");
        }
        if (takes('e') || takes('E')) {
            isWhole = false;
            if (!takes('+')) takes('-');
            if (digits() == 0) throw wrong("a digit");
        }
        String number = text.substring(start, at);
        if (isWhole && digits <= 19) {
            try {
                return Long.valueOf(number);
            } catch (NumberFormatException tooLarge) {
                // A Double is near enough.
            }
        }
        return Double.valueOf(number);
    }

    private int digits() {
        int start = at;
        while (at < text.length() && text.charAt(at) >= '0' && text.charAt(at) <= '9') at++;
        return at - start;
    }

    private boolean takes(char c) {
        if (at >= text.length() || text.charAt(at) != c) return false;
        at++;
        return true;
    }

    private void skipSpace() {
        while (at < text.length() && (text.charAt(at) == ' ' || text.charAt(at) == '\n' || text.charAt(at) == '\r' || text.charAt(at) == '\t')) at++;
    }

    private IllegalArgumentException wrong(String expected) {
        String got = at < text.length() ? "'" + text.charAt(at) + "'" : "the end";
        return new IllegalArgumentException("Cannot read JSON: expected " + expected + " at character " + at + ", got " + got);
    }
}
