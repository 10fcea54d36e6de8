package dunlin;

import java.util.LinkedHashMap;
import java.util.Map;

/** What another function is called with. */
public final class Request {
    private final Object body;
    private String contentType = "";
    private String method = "";
    private String path = "";
    private String topic = "";
    private final Map<String, String> headers = new LinkedHashMap<>();

    public Request(Object body) {
        this.body = body;
    }

    /** Left out, the body's form says it. */
    public Request contentType(String value) {
        contentType = value;
        return this;
    }

    public Request method(String value) {
        method = value;
        return this;
    }

    public Request path(String value) {
        path = value;
        return this;
    }

    public Request topic(String value) {
        topic = value;
        return this;
    }

    public Request header(String name, String value) {
        headers.put(name, value);
        return this;
    }

    public Object body() {
        return body;
    }

    public String contentType() {
        return contentType;
    }

    public String method() {
        return method;
    }

    public String path() {
        return path;
    }

    public String topic() {
        return topic;
    }

    public Map<String, String> headers() {
        return headers;
    }
}
