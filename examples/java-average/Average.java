import dunlin.Context;
import dunlin.Event;
import dunlin.Handler;
import java.util.Map;

/** The mean of each ten readings of a sensor goes to the stream `averages`; what is not enough for one yet is kept in the state, over restarts. */
public class Average implements Handler {
    private static final long READINGS = 10;

    @Override
    public Object handle(Context context, Event event) {
        if (!(event.json() instanceof Map<?, ?> reading) || !(reading.get("value") instanceof Number value)) {
            context.logger().warn("no value", Map.of("topic", event.topic()));
            return null;
        }
        String sum = "sum/" + event.topic();
        String count = "count/" + event.topic();
        double total = context.state().getDouble(sum, 0) + value.doubleValue();
        long seen = context.state().getLong(count, 0) + 1;
        if (seen == READINGS) {
            context.emit("averages", Map.of("topic", event.topic(), "mean", total / seen));
            total = 0;
            seen = 0;
        }
        context.state().set(sum, total);
        context.state().set(count, seen);
        return null;
    }
}
