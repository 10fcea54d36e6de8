package io.nuclio;

import java.nio.charset.StandardCharsets;
import java.util.Map;

/** An answer: status 200, text/plain and no body until it is told otherwise. */
public class Response {
    private long statusCode = 200;
    private String contentType = "text/plain";
    private byte[] body = {};
    private Map<String, Object> headers = Map.of();

    public Response() {}

    public Response setBody(byte[] value) {
        body = value;
        return this;
    }

    public Response setBody(String value) {
        return setBody(value.getBytes(StandardCharsets.UTF_8));
    }

    public byte[] getBody() {
        return body;
    }

    public Response setStatusCode(long value) {
        statusCode = value;
        return this;
    }

    public long getStatusCode() {
        return statusCode;
    }

    public Response setHeaders(Map<String, Object> value) {
        headers = value;
        return this;
    }

    public Map<String, Object> getHeaders() {
        return headers;
    }

    public Response setContentType(String value) {
        contentType = value;
        return this;
    }

    public String getContentType() {
        return contentType;
    }
}
