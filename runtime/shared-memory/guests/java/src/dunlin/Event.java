package dunlin;

import java.time.Instant;
import java.util.Map;

/** An event. A field is decoded when it is first asked for; a text that is not there is "". */
public interface Event {
    /** UUIDv7, the same at every attempt: it recognises an event that comes again. */
    String id();

    byte[] body();

    /** The body as UTF-8. */
    String text();

    /** The body decoded: Map, List, String, Long, Double, Boolean or null. Throws IllegalArgumentException when it is no JSON. */
    Object json();

    String contentType();

    Map<String, String> headers();

    /** A header whatever its case, or null. */
    String header(String name);

    /** The query of a URL, for one. */
    Map<String, String> fields();

    String topic();

    String method();

    String path();

    String url();

    String type();

    String typeVersion();

    String orderKey();

    /** null when there is none, as for the next two. */
    Long shardId();

    Long numShards();

    Long offset();

    /** Bytes of the body. */
    int size();

    /** When the agent accepted it. */
    Instant timestamp();

    Trigger trigger();

    /** Which delivery this is; the first is 1. */
    int attempt();

    int qos();

    boolean retain();

    boolean replayed();

    /** Which start of the agent received it. */
    long bootId();

    /** The device's monotonic clock when it was received. */
    long monotonicNs();

    /** unset, floor or synced: how far {@link #timestamp} can be trusted. */
    String clockQuality();
}
