package dunlin.guest;

import dunlin.Logger;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Lines as LOG records. */
final class RingLogger implements Logger {
    private static final int MESSAGE_BYTES_MAX = 16_384;
    private static final int FIELDS_BYTES_MAX = 65_535;
    private static final int DROPPED_NAMES_MAX = 100;

    private final Worker worker;
    private final int level;
    private final String name;

    RingLogger(Worker worker, String level) {
        this(worker, switch (level) {
            case "debug" -> DEBUG;
            case "warn" -> WARN;
            case "error" -> ERROR;
            default -> INFO;
        }, null);
    }

    private RingLogger(Worker worker, int level, String name) {
        this.worker = worker;
        this.level = level;
        this.name = name;
    }

    @Override
    public Logger child(String childName) {
        return new RingLogger(worker, level, name == null ? childName : name + "." + childName);
    }

    @Override
    public void error(String message, Throwable error) {
        log(ERROR, message, Map.of("error", error.toString(), "stack", Failure.stack(error)));
    }

    @Override
    public void log(int lineLevel, String message, Map<String, ?> fields) {
        RingEvent event = worker.current();
        int wanted = event == null ? 0 : event.wantedLevel();
        if (lineLevel < level && (wanted == 0 || lineLevel < wanted)) return;
        byte[] text = String.valueOf(message).getBytes(StandardCharsets.UTF_8);
        worker.log(lineLevel, fieldsHead(fields), text.length > MESSAGE_BYTES_MAX ? Arrays.copyOf(text, MESSAGE_BYTES_MAX) : text);
    }

    private byte[] fieldsHead(Map<String, ?> fields) {
        if (name == null && fields.isEmpty()) return Head.NONE;
        Map<String, Object> all = new LinkedHashMap<>();
        if (name != null) all.put("logger", name);
        fields.forEach((key, value) -> all.put(key, sayable(value)));
        String text = Json.text(all);
        if (text.getBytes(StandardCharsets.UTF_8).length > FIELDS_BYTES_MAX) {
            List<String> names = new ArrayList<>(all.keySet());
            text = Json.text(Map.of("fieldsDropped", names.subList(0, Math.min(names.size(), DROPPED_NAMES_MAX))));
        }
        return new Head().clipped(Wire.FIELDS, text).bytes();
    }

    /** A line is not lost because JSON cannot say one of its values. */
    private static Object sayable(Object value) {
        try {
            Json.text(value);
            return value;
        } catch (IllegalArgumentException unsayable) {
            return String.valueOf(value);
        }
    }
}
