import dunlin.Context;
import dunlin.Event;
import dunlin.Handler;
import dunlin.Response;
import java.util.List;
import java.util.Map;

/** Keeps the mean of each sensor and emits every reading with it. */
public class Main implements Handler {
    @Override
    public Object handle(Context context, Event event) {
        Double value = numberIn(event);
        if (value == null) {
            return new Response(400, "expected a number, or JSON with a number in value");
        }
        String sensor = event.topic() == null || event.topic().isEmpty() ? "by hand" : event.topic();
        List<?> before = context.state().get(sensor) instanceof List<?> list ? list : List.of(0, 0);
        long count = ((Number) before.get(0)).longValue() + 1;
        double mean = ((Number) before.get(1)).doubleValue();
        mean += (value - mean) / count;
        // State and emits are committed with the event: all of it, or nothing.
        context.state().set(sensor, List.of(count, mean));
        double rounded = Math.round(mean * 1000) / 1000.0;
        context.emit("readings", Map.of("sensor", sensor, "value", value, "mean", rounded));
        return Map.of("mean", rounded);
    }

    private static Double numberIn(Event event) {
        try {
            Object value = event.json();
            if (value instanceof Map<?, ?> map) {
                value = map.get("value");
            }
            return value instanceof Number number ? number.doubleValue() : null;
        } catch (RuntimeException noJson) {
            return null;
        }
    }
}
