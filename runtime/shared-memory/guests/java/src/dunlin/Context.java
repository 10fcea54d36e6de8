package dunlin;

import java.time.Duration;
import java.util.Map;

/** What a function may use. emit, publish and changes of state happen when the handler succeeds; after its answer they are refused. */
public interface Context {
    Logger logger();

    /** Whatever the function puts here stays for the worker's life. */
    Map<String, Object> userData();

    int workerId();

    String functionName();

    String functionVersion();

    Trigger trigger();

    State state();

    /** Appends to a stream, in one transaction with the acknowledgement of the event. Bodies are given as answers are (see {@link Handler}). */
    default void emit(String stream, Object body) {
        emit(stream, body, null, Map.of());
    }

    /** {@code contentType}: null leaves it to the body's form. */
    void emit(String stream, Object body, String contentType, Map<String, String> headers);

    default void publish(String topic, Object body) {
        publish(topic, body, 0, false);
    }

    /** Publishes to the device's own broker once the event has succeeded; QoS 0 or 1. */
    void publish(String topic, Object body, int qos, boolean retain);

    /** Calls another function of this device and waits for its answer, from the handler's own thread. */
    default Response callFunction(String function, Object body) {
        return callFunction(function, new Request(body), null);
    }

    /** {@code timeout}: null waits as long as the event may take. Throws {@link CallTimeoutException}. */
    Response callFunction(String function, Request request, Duration timeout);

    /** This context with emit, publish and state for another event of the batch; in a batch they belong to its first event otherwise. */
    Context forEvent(Event event);

    /** Acknowledges an event whose answer did not ({@link Response#ensureNoAck}): it is committed now. From any thread. */
    void explicitAck(Event event);

    /** The event has failed after all: it is given again. From any thread. */
    void explicitNack(Event event, String reason);

    /** Called when the worker has handled its last event. */
    void onDrain(Runnable callback);

    /** Called after that, before the process exits. */
    void onTermination(Runnable callback);
}
