package dunlin.guest;

import dunlin.Context;
import dunlin.Event;
import dunlin.Logger;
import dunlin.Request;
import dunlin.Response;
import dunlin.State;
import dunlin.Trigger;
import java.time.Duration;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;

final class RingContext implements Context {
    private final Worker worker;
    private final State state;
    private final Map<String, Object> init;
    private final Map<String, Object> userData;
    /** Whose emits and changes these are; null: of the event being handled. */
    private final RingEvent bound;
    private final Callbacks callbacks;

    private static final class Callbacks {
        Runnable drain;
        Runnable termination;
    }

    RingContext(Worker worker, Map<String, Object> init, State state) {
        this(worker, init, state, new ConcurrentHashMap<>(), new Callbacks(), null);
    }

    private RingContext(Worker worker, Map<String, Object> init, State state, Map<String, Object> userData, Callbacks callbacks, RingEvent bound) {
        this.worker = worker;
        this.init = init;
        this.state = state;
        this.userData = userData;
        this.callbacks = callbacks;
        this.bound = bound;
    }

    @Override
    public Logger logger() {
        return worker.logger;
    }

    @Override
    public Map<String, Object> userData() {
        return userData;
    }

    @Override
    public int workerId() {
        return init.get("workerId") instanceof Number id ? id.intValue() : 0;
    }

    @Override
    public String functionName() {
        return text(Json.object(init.get("function")).get("name"));
    }

    @Override
    public String functionVersion() {
        return text(Json.object(init.get("function")).get("version"));
    }

    @Override
    public Trigger trigger() {
        return worker.triggers.length == 0 ? null : worker.triggers[0];
    }

    @Override
    public State state() {
        return state;
    }

    @Override
    public void emit(String stream, Object body, String contentType, Map<String, String> headers) {
        Head head = new Head().add(Wire.STREAM, stream).addIfAny(Wire.CONTENT_TYPE, contentType == null ? Answer.contentType(body) : contentType);
        worker.operation(bound, Wire.EMIT, 0, head.headers(headers).bytes(), Answer.bytes(body));
    }

    @Override
    public void publish(String topic, Object body, int qos, boolean retain) {
        if (qos != 0 && qos != 1) throw new IllegalArgumentException("Cannot publish with QoS " + qos + ": expected 0 or 1");
        Head head = new Head().add(Wire.TOPIC, topic).addIfAny(Wire.CONTENT_TYPE, Answer.contentType(body));
        worker.operation(bound, Wire.PUBLISH, qos | (retain ? Wire.RETAIN : 0), head.bytes(), Answer.bytes(body));
    }

    @Override
    public Response callFunction(String function, Request request, Duration timeout) {
        Head head = new Head().add(Wire.FUNCTION, function).addIfAny(Wire.METHOD, request.method()).addIfAny(Wire.PATH, request.path());
        head.addIfAny(Wire.TOPIC, request.topic());
        head.addIfAny(Wire.CONTENT_TYPE, request.contentType().isEmpty() ? Answer.contentType(request.body()) : request.contentType());
        RingEvent answer = worker.request(Wire.CALL, head.headers(request.headers()).bytes(), Answer.bytes(request.body()), timeout);
        Response response = new Response(Wire.u16(answer.record, Wire.STATUS_AT), answer.body()).contentType(answer.contentType());
        answer.headers().forEach(response::header);
        return response;
    }

    @Override
    public Context forEvent(Event event) {
        return new RingContext(worker, init, worker.stateOf(ours(event)), userData, callbacks, ours(event));
    }

    @Override
    public void explicitAck(Event event) {
        acknowledge(event, 200, Head.NONE);
    }

    @Override
    public void explicitNack(Event event, String reason) {
        acknowledge(event, 500, new Head().clipped(Wire.ERROR, String.valueOf(reason)).bytes());
    }

    private void acknowledge(Event event, int status, byte[] head) {
        if (init.get("explicitAck") != Boolean.TRUE) {
            throw new IllegalStateException("Cannot acknowledge explicitly: set explicitAckMode: enable on the trigger");
        }
        worker.acknowledge(ours(event), status, head);
    }

    private static RingEvent ours(Event event) {
        if (event instanceof RingEvent ours) return ours;
        throw new IllegalArgumentException("Cannot use this event: it was not given to the handler");
    }

    @Override
    public void onDrain(Runnable callback) {
        callbacks.drain = callback;
    }

    @Override
    public void onTermination(Runnable callback) {
        callbacks.termination = callback;
    }

    void drained() {
        call(callbacks.drain);
    }

    void terminated() {
        call(callbacks.termination);
    }

    private void call(Runnable callback) {
        try {
            if (callback != null) callback.run();
        } catch (RuntimeException error) {
            logger().error("Drain or termination callback failed", error);
        }
    }

    private static String text(Object value) {
        return value instanceof String text ? text : "";
    }
}
