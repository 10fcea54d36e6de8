package dunlin.guest;

import dunlin.Event;
import dunlin.Trigger;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.TreeMap;
import java.util.Map;
import java.util.UUID;

/** An event from the ring: holds the record's bytes and decodes a field when it is first asked for. Its worker keeps its state changes here. */
final class RingEvent implements Event {
    private static final String[] CLOCK_QUALITIES = {"unset", "floor", "synced", "unset"};
    private static final Trigger NO_TRIGGER = new Trigger("", "", "");

    final byte[] record;
    /** What this event has changed, encoded; StateCache.ABSENT: deleted. null: nothing. */
    Map<String, byte[]> changes;

    /** It was answered: nothing more may be sent for it. */
    volatile boolean isDone;

    private final Trigger[] triggers;
    private byte[] body;
    private Map<Integer, String> single;
    private Map<String, String> headers;
    private Map<String, String> fields;

    /** {@code outside}: the body, when it is not in the record. */
    RingEvent(byte[] record, byte[] outside, Trigger[] triggers) {
        this.record = record;
        this.body = outside;
        this.triggers = triggers;
    }

    /** The level from which lines of this event are wanted, whatever the function's is; 0: as that. */
    int wantedLevel() {
        return record[Wire.STATUS_AT + 1];
    }

    long ticket() {
        return Wire.ticket(record);
    }

    @Override
    public String id() {
        // The id's bytes stand in the order of its digits.
        return new UUID(Long.reverseBytes(Wire.i64(record, Wire.ID_AT)), Long.reverseBytes(Wire.i64(record, Wire.ID_AT + 8))).toString();
    }

    @Override
    public byte[] body() {
        if (body == null) body = Wire.inlineBody(record);
        return body;
    }

    @Override
    public String text() {
        if (body != null) return new String(body, StandardCharsets.UTF_8);
        return new String(record, Wire.bodyAt(record), Wire.i32(record, Wire.BODY_LENGTH_AT), StandardCharsets.UTF_8);
    }

    @Override
    public Object json() {
        return Json.parse(text());
    }

    @Override
    public String contentType() {
        return text(Wire.CONTENT_TYPE);
    }

    @Override
    public Map<String, String> headers() {
        readItems();
        return headers;
    }

    @Override
    public String header(String name) {
        for (Map.Entry<String, String> each : headers().entrySet()) if (each.getKey().equalsIgnoreCase(name)) return each.getValue();
        return null;
    }

    @Override
    public Map<String, String> fields() {
        readItems();
        return fields;
    }

    @Override
    public String topic() {
        return text(Wire.TOPIC);
    }

    @Override
    public String method() {
        return text(Wire.METHOD);
    }

    @Override
    public String path() {
        return text(Wire.PATH);
    }

    @Override
    public String url() {
        return text(Wire.URL);
    }

    @Override
    public String type() {
        return text(Wire.TYPE);
    }

    @Override
    public String typeVersion() {
        return text(Wire.TYPE_VERSION);
    }

    @Override
    public String orderKey() {
        return text(Wire.ORDER_KEY);
    }

    @Override
    public Long shardId() {
        return number(Wire.SHARD_ID);
    }

    @Override
    public Long numShards() {
        return number(Wire.NUM_SHARDS);
    }

    @Override
    public Long offset() {
        return number(Wire.OFFSET);
    }

    @Override
    public int size() {
        return body == null ? Wire.i32(record, Wire.BODY_LENGTH_AT) : body.length;
    }

    @Override
    public Instant timestamp() {
        long us = Wire.i64(record, Wire.TIME_AT);
        return Instant.ofEpochSecond(us / 1_000_000, us % 1_000_000 * 1000);
    }

    @Override
    public Trigger trigger() {
        int source = Wire.u16(record, Wire.SOURCE_AT);
        return source < triggers.length ? triggers[source] : NO_TRIGGER;
    }

    @Override
    public int attempt() {
        return Wire.u16(record, Wire.ATTEMPT_AT);
    }

    @Override
    public int qos() {
        return record[Wire.FLAGS_AT] & Wire.QOS_MASK;
    }

    @Override
    public boolean retain() {
        return Wire.has(record, Wire.RETAIN);
    }

    @Override
    public boolean replayed() {
        return Wire.has(record, Wire.REPLAYED);
    }

    @Override
    public long bootId() {
        return Wire.i32(record, Wire.BOOT_AT) & 0xffff_ffffL;
    }

    @Override
    public long monotonicNs() {
        return Wire.i64(record, Wire.MONOTONIC_AT);
    }

    @Override
    public String clockQuality() {
        return CLOCK_QUALITIES[(record[Wire.FLAGS_AT] & 0xff) >> Wire.CLOCK_SHIFT];
    }

    @Override
    public String toString() {
        return "Event " + id() + " topic '" + topic() + "' path '" + path() + "' " + size() + " bytes";
    }

    private String text(int tag) {
        readItems();
        return single.getOrDefault(tag, "");
    }

    private Long number(int tag) {
        try {
            return Long.valueOf(text(tag));
        } catch (NumberFormatException notANumber) {
            return null;
        }
    }

    private void readItems() {
        if (single != null) return;
        headers = new TreeMap<>(String.CASE_INSENSITIVE_ORDER);
        fields = new LinkedHashMap<>();
        single = new HashMap<>();
        Wire.items(record, (tag, key, value) -> {
            if (tag == Wire.HEADER) headers.put(key, value);
            else if (tag == Wire.FIELD) fields.put(key, value);
            else single.putIfAbsent(tag, value);
        });
    }
}
