package dunlin.guest;

import dunlin.Event;
import dunlin.Response;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.Iterator;
import java.util.List;
import java.util.Map;

/** Status, flags, head and body of a RESULT, and the one place that knows which values a handler may return. */
record Answer(int status, int flags, byte[] head, byte[] body) {
    private static final String TEXT = "text/plain";
    private static final String JSON = "application/json";
    private static final byte[] TEXT_HEAD = new Head().add(Wire.CONTENT_TYPE, TEXT).bytes();
    private static final byte[] JSON_HEAD = new Head().add(Wire.CONTENT_TYPE, JSON).bytes();

    /** Throws IllegalArgumentException for what no answer can be. */
    static Answer of(Object value) {
        if (value instanceof byte[] bytes) return new Answer(200, 0, Head.NONE, bytes);
        if (value instanceof Response response) {
            String type = response.contentType() == null || response.contentType().isEmpty() ? contentType(response.body()) : response.contentType();
            byte[] head = new Head().addIfAny(Wire.CONTENT_TYPE, type).headers(response.headers()).bytes();
            return new Answer(response.status(), response.isNoAck() ? Wire.NO_ACK : 0, head, bytes(response.body()));
        }
        String type = contentType(value);
        return new Answer(200, 0, type == TEXT ? TEXT_HEAD : type == JSON ? JSON_HEAD : Head.NONE, bytes(value));
    }

    static Answer failed(Throwable error) {
        return failed(error, 0);
    }

    static Answer failed(Throwable error, int flags) {
        return new Answer(500, flags, Failure.head(error), Head.NONE);
    }

    /** The answer of each event of a batch (docs/ring.md, "Batches"). */
    static List<Answer> ofBatch(Object value, List<Event> events) {
        List<Answer> answers = new ArrayList<>(events.size());
        if (value instanceof List<?> list && !list.isEmpty() && list.stream().allMatch(each -> each instanceof Response response && !response.eventId().isEmpty())) {
            Map<String, Response> byId = new HashMap<>();
            for (Object each : list) byId.put(((Response) each).eventId(), (Response) each);
            for (Event event : events) answers.add(ofOne(byId.get(event.id()), byId.containsKey(event.id())));
        } else if (value instanceof List<?> list && list.size() == events.size()) {
            for (Object each : list) answers.add(ofOne(each, true));
        } else {
            for (int i = 0; i < events.size(); i++) answers.add(ofOne(value, true));
        }
        return answers;
    }

    private static Answer ofOne(Object value, boolean isNamed) {
        if (!isNamed) return failed(new IllegalStateException("No answer names this event of the batch"));
        try {
            if (isInParts(value)) throw new IllegalArgumentException("Cannot stream the answer of a batch: return a body");
            return of(value);
        } catch (IllegalArgumentException error) {
            return failed(error);
        }
    }

    static boolean isInParts(Object value) {
        Object body = value instanceof Response response ? response.body() : value;
        return body instanceof Iterator<?> || body instanceof InputStream;
    }

    /** What a body's form says of its type; null for bytes and for none. */
    static String contentType(Object body) {
        if (body == null || body instanceof byte[]) return null;
        return body instanceof String ? TEXT : JSON;
    }

    static byte[] bytes(Object body) {
        if (body == null) return Head.NONE;
        if (body instanceof byte[] bytes) return bytes;
        return (body instanceof String text ? text : Json.text(body)).getBytes(StandardCharsets.UTF_8);
    }
}
