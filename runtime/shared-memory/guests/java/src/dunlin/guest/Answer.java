package dunlin.guest;

import dunlin.Response;
import java.nio.charset.StandardCharsets;

/** Status, head and body of a RESULT, and the one place that knows which values a handler may return. */
record Answer(int status, byte[] head, byte[] body) {
    private static final String TEXT = "text/plain";
    private static final String JSON = "application/json";
    private static final byte[] TEXT_HEAD = new Head().add(Wire.CONTENT_TYPE, TEXT).bytes();
    private static final byte[] JSON_HEAD = new Head().add(Wire.CONTENT_TYPE, JSON).bytes();

    /** Throws IllegalArgumentException for what no answer can be. */
    static Answer of(Object value) {
        if (value instanceof byte[] bytes) return new Answer(200, Head.NONE, bytes);
        if (value instanceof Response response) {
            String type = response.contentType() == null || response.contentType().isEmpty() ? contentType(response.body()) : response.contentType();
            byte[] head = new Head().addIfAny(Wire.CONTENT_TYPE, type).headers(response.headers()).bytes();
            return new Answer(response.status(), head, bytes(response.body()));
        }
        String type = contentType(value);
        return new Answer(200, type == TEXT ? TEXT_HEAD : type == JSON ? JSON_HEAD : Head.NONE, bytes(value));
    }

    static Answer failed(Throwable error) {
        return new Answer(500, Failure.head(error), Head.NONE);
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
