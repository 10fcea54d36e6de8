package dunlin.guest;

import dunlin.Context;
import dunlin.Event;
import dunlin.Handler;
import dunlin.Response;
import io.nuclio.EventHandler;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.util.Date;
import java.util.LinkedHashMap;
import java.util.Map;

/** Runs a function that was written for Nuclio's Java runtime, with its interfaces over ours. */
final class NuclioHandler implements Handler {
    private final EventHandler handler;
    private io.nuclio.Context context;

    NuclioHandler(EventHandler handler) {
        this.handler = handler;
    }

    @Override
    public void initContext(Context given) {
        NuclioLogger logger = new NuclioLogger(given.logger());
        context = () -> logger;
    }

    @Override
    public Object handle(Context given, Event event) {
        io.nuclio.Response answer = handler.handleEvent(context, new NuclioEvent(event));
        if (answer == null) return null;
        Response response = new Response((int) answer.getStatusCode(), answer.getBody()).contentType(answer.getContentType());
        answer.getHeaders().forEach((name, value) -> response.header(name, String.valueOf(value)));
        return response;
    }

    private record NuclioLogger(dunlin.Logger to) implements io.nuclio.Logger {
        @Override
        public void error(String format, Object... arguments) {
            log(dunlin.Logger.ERROR, format, arguments);
        }

        @Override
        public void warn(String format, Object... arguments) {
            log(dunlin.Logger.WARN, format, arguments);
        }

        @Override
        public void info(String format, Object... arguments) {
            log(dunlin.Logger.INFO, format, arguments);
        }

        @Override
        public void debug(String format, Object... arguments) {
            log(dunlin.Logger.DEBUG, format, arguments);
        }

        @Override
        public void errorWith(String message, Object... pairs) {
            to.log(dunlin.Logger.ERROR, message, fields(pairs));
        }

        @Override
        public void warnWith(String message, Object... pairs) {
            to.log(dunlin.Logger.WARN, message, fields(pairs));
        }

        @Override
        public void infoWith(String message, Object... pairs) {
            to.log(dunlin.Logger.INFO, message, fields(pairs));
        }

        @Override
        public void debugWith(String message, Object... pairs) {
            to.log(dunlin.Logger.DEBUG, message, fields(pairs));
        }

        private void log(int level, String format, Object[] arguments) {
            to.log(level, arguments.length == 0 ? format : formatted(format, arguments), Map.of());
        }

        /** A line is not lost because its format does not fit. */
        private static String formatted(String format, Object[] arguments) {
            try {
                return String.format(format, arguments);
            } catch (IllegalArgumentException unfit) {
                return format + " " + java.util.Arrays.toString(arguments);
            }
        }

        private static Map<String, Object> fields(Object[] pairs) {
            Map<String, Object> fields = new LinkedHashMap<>();
            for (int i = 0; i + 1 < pairs.length; i += 2) fields.put(String.valueOf(pairs[i]), pairs[i + 1]);
            if (pairs.length % 2 == 1) fields.put("value", pairs[pairs.length - 1]);
            return fields;
        }
    }

    private record NuclioEvent(Event event) implements io.nuclio.Event {
        @Override
        public String getID() {
            return event.id();
        }

        @Override
        public io.nuclio.TriggerInfo getTriggerInfo() {
            return new io.nuclio.TriggerInfo() {
                @Override
                public String getClassName() {
                    return event.trigger().type();
                }

                @Override
                public String getKindName() {
                    return event.trigger().kind();
                }
            };
        }

        @Override
        public String getContentType() {
            return event.contentType();
        }

        @Override
        public byte[] getBody() {
            return event.body();
        }

        @Override
        public Object getHeader(String key) {
            return event.header(key);
        }

        @Override
        public String getHeaderString(String key) {
            return event.header(key);
        }

        @Override
        public byte[] getHeaderBytes(String key) {
            return bytes(event.header(key));
        }

        @Override
        public long getHeaderLong(String key) {
            return number(event.header(key));
        }

        @Override
        public Map<String, Object> getHeaders() {
            return new LinkedHashMap<>(event.headers());
        }

        @Override
        public Object getField(String key) {
            return event.fields().get(key);
        }

        @Override
        public String getFieldString(String key) {
            return event.fields().get(key);
        }

        @Override
        public byte[] getFieldBytes(String key) {
            return bytes(event.fields().get(key));
        }

        @Override
        public long getFieldLong(String key) {
            return number(event.fields().get(key));
        }

        @Override
        public Map<String, Object> getFields() {
            return new LinkedHashMap<>(event.fields());
        }

        @Override
        public Date getTimestamp() {
            Instant timestamp = event.timestamp();
            return Date.from(timestamp);
        }

        @Override
        public String getPath() {
            return event.path();
        }

        @Override
        public String getURL() {
            return event.url();
        }

        @Override
        public String getMethod() {
            return event.method();
        }

        @Override
        public long getShardID() {
            return event.shardId() == null ? 0 : event.shardId();
        }

        @Override
        public long getTotalNumShards() {
            return event.numShards() == null ? 0 : event.numShards();
        }

        @Override
        public String getType() {
            return event.type();
        }

        @Override
        public String getTypeVersion() {
            return event.typeVersion();
        }

        @Override
        public String getVersion() {
            return "";
        }

        private static byte[] bytes(String value) {
            return value == null ? null : value.getBytes(StandardCharsets.UTF_8);
        }

        /** 0 where there is no number. */
        private static long number(String value) {
            try {
                return value == null ? 0 : Long.parseLong(value.trim());
            } catch (NumberFormatException notANumber) {
                return 0;
            }
        }
    }
}
