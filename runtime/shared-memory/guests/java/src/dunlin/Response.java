package dunlin;

import dunlin.guest.Json;
import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.Map;

/** An answer with status, headers and content type; also what a called function has answered, whose body is then bytes. */
public final class Response {
    private final int status;
    private final Object body;
    private String contentType = "";
    private String eventId = "";
    private boolean isNoAck;
    private final Map<String, String> headers = new LinkedHashMap<>();

    /** Status 100 to 999; from 500 on the event has failed. */
    public Response(int status, Object body) {
        if (status < 100 || status > 999) throw new IllegalArgumentException("Cannot answer with status " + status + ": expected 100 to 999");
        this.status = status;
        this.body = body;
    }

    public Response(Object body) {
        this(200, body);
    }

    /** Left out, the body's form says it. */
    public Response contentType(String value) {
        contentType = value;
        return this;
    }

    public Response header(String name, String value) {
        headers.put(name, value);
        return this;
    }

    /** Of a batch: which of its events this answers. */
    public Response eventId(String value) {
        eventId = value;
        return this;
    }

    /** The event stays unacknowledged until {@link Context#explicitAck} (see explicitAckMode). */
    public Response ensureNoAck() {
        isNoAck = true;
        return this;
    }

    public String eventId() {
        return eventId;
    }

    public boolean isNoAck() {
        return isNoAck;
    }

    public int status() {
        return status;
    }

    public Object body() {
        return body;
    }

    public String contentType() {
        return contentType;
    }

    public Map<String, String> headers() {
        return headers;
    }

    public String text() {
        return body instanceof byte[] bytes ? new String(bytes, StandardCharsets.UTF_8) : String.valueOf(body);
    }

    /** The body decoded, as {@link Event#json} does. */
    public Object json() {
        return Json.parse(text());
    }
}
