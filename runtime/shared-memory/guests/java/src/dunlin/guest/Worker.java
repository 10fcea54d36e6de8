package dunlin.guest;

import dunlin.CallTimeoutException;
import dunlin.Handler;
import dunlin.Trigger;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.List;
import java.util.Map;

/** Runs a handler: one event after the other, in a loop that makes no system call while events keep coming. */
final class Worker {
    /** An answer is published at once; the agent is woken (and given room back) after so many, or after so long, or when there is nothing to do. */
    private static final int BURST_EVENTS = 32;
    private static final long BURST_NS = 200_000;
    /** READY's status: one event at a time, in order. */
    private static final int SEQUENTIAL = 1;
    /** Lines kept while the ring is full; more are dropped. */
    private static final int LATE_LOGS_MAX = 1000;

    final RingLogger logger;
    final Trigger[] triggers;
    private final Channel channel;
    private final Handler handler;
    private final RingContext context;
    private final StateCache cache;
    private final Thread main = Thread.currentThread();
    /** Read while the main thread waited for an answer. */
    private final ArrayDeque<RingEvent> early = new ArrayDeque<>();
    private boolean isStopping;
    private long requests;
    /** Guarded by the writer: an operation of another thread is written before the event's RESULT, or refused. */
    private volatile RingEvent current;
    private final ArrayDeque<LogLine> lateLogs = new ArrayDeque<>();

    private record LogLine(int level, long ticket, byte[] head, byte[] text) {}

    Worker(Channel channel, Map<String, Object> init, Handler handler) {
        this.channel = channel;
        this.handler = handler;
        triggers = triggersOf(init.get("triggers"));
        cache = new StateCache(init.get("stateExclusive") == Boolean.TRUE);
        logger = new RingLogger(this, String.valueOf(init.get("logLevel")));
        context = new RingContext(this, init, new RingState(cache, this));
    }

    void init() throws Exception {
        handler.initContext(context);
    }

    void run(long initTicket) throws IOException {
        channel.writer.write(Wire.READY, 0, SEQUENTIAL, initTicket, Head.NONE, "{\"guest\":\"java\"}".getBytes());
        serve();
        context.stopped();
        sendLateLogs();
        channel.reader.release();
        channel.writer.ring();
    }

    RingEvent current() {
        return current;
    }

    /** Writes what belongs to the event being handled. Throws IllegalStateException when there is none. */
    RingEvent operation(int kind, int flags, byte[] head, byte[] body) {
        synchronized (channel.writer) {
            RingEvent event = current;
            if (event == null) throw new IllegalStateException("No event is being handled: emit, publish and state belong to an event");
            try {
                channel.writer.write(kind, flags, 0, event.ticket(), head, body);
            } catch (IOException error) {
                throw new UncheckedIOException(error);
            }
            return event;
        }
    }

    /** Asks the agent and reads until its answer comes; events that come first wait. null: no time-out. */
    RingEvent request(int kind, byte[] head, byte[] body, Duration timeout) {
        if (Thread.currentThread() != main) throw new IllegalStateException("state.get and callFunction belong to the handler's own thread");
        long ticket = ++requests;
        try {
            channel.writer.write(kind, 0, 0, ticket, head, body);
        } catch (IOException error) {
            throw new UncheckedIOException(error);
        }
        long deadline = timeout == null ? 0 : System.nanoTime() + timeout.toNanos();
        for (;;) {
            byte[] record = channel.reader.next();
            if (record == null) {
                if (timeout == null) channel.sleep();
                else if (!channel.sleep((deadline - System.nanoTime() + 999_999) / 1_000_000)) throw new CallTimeoutException("The function called did not answer in time");
            } else if (Wire.kind(record) == Wire.EVENT) {
                early.add(event(record));
            } else if (Wire.kind(record) == Wire.STOP) {
                isStopping = true;
            } else if (Wire.ticket(record) == ticket) {
                return event(record);
            } else {
                // The answer to a call that has timed out: its body's file goes with it.
                channel.reader.body(record);
            }
        }
    }

    /** Published at once. Never waits: a line without room goes with the next one. */
    void log(int level, byte[] head, byte[] text) {
        synchronized (channel.writer) {
            RingEvent event = current;
            if (lateLogs.size() < LATE_LOGS_MAX) lateLogs.add(new LogLine(level, event == null ? 0 : event.ticket(), head, text));
            sendLateLogs();
            channel.writer.ring();
        }
    }

    private void sendLateLogs() {
        synchronized (channel.writer) {
            try {
                for (LogLine line; (line = lateLogs.peek()) != null; lateLogs.remove()) {
                    if (!channel.writer.tryWrite(Wire.LOG, 0, line.level, line.ticket, line.head, line.text)) return;
                }
            } catch (IOException noRoomOutside) {
                // Only in a small ring: the line waits as if the ring were full.
            }
        }
    }

    private void serve() throws IOException {
        int count = 0;
        long since = System.nanoTime();
        for (;;) {
            RingEvent event = next();
            if (event == null) {
                if (isStopping) return;
                channel.sleep();
                count = 0;
                since = System.nanoTime();
                continue;
            }
            handle(event);
            if (++count >= BURST_EVENTS || System.nanoTime() - since > BURST_NS) {
                channel.reader.release();
                channel.writer.ring();
                count = 0;
                since = System.nanoTime();
            }
        }
    }

    /** null: nothing is there now, or STOP has come. */
    private RingEvent next() {
        RingEvent event = early.poll();
        while (event == null && !isStopping) {
            byte[] record = channel.reader.next();
            if (record == null) return null;
            if (Wire.kind(record) == Wire.EVENT) event = event(record);
            else if (Wire.kind(record) == Wire.STOP) isStopping = true;
            else channel.reader.body(record);
        }
        return event;
    }

    private RingEvent event(byte[] record) {
        return new RingEvent(record, Wire.has(record, Wire.EXTERNAL_BODY) ? channel.reader.body(record) : null, triggers);
    }

    private void handle(RingEvent event) throws IOException {
        // It comes again, or after one whose outcome was not committed.
        if (event.attempt() > 1 || Wire.u16(event.record, Wire.STATUS_AT) != 0) cache.clear();
        current = event;
        Answer answer;
        try {
            answer = Answer.of(handler.handle(context, event));
        } catch (AgentGoneException error) {
            throw error;
        } catch (Exception | StackOverflowError | LinkageError | AssertionError error) {
            answer = Answer.failed(error);
        }
        synchronized (channel.writer) {
            current = null;
            try {
                write(event, answer);
                if (event.changes != null && answer.status() < 500) event.changes.forEach(cache::put);
            } catch (IllegalArgumentException | IOException error) {
                // Too large, or no room for a large body: what the event did is not committed.
                cache.clear();
                write(event, Answer.failed(error));
            }
        }
    }

    private void write(RingEvent event, Answer answer) throws IOException {
        channel.writer.write(Wire.RESULT, 0, answer.status(), event.ticket(), answer.head(), answer.body());
    }

    private static Trigger[] triggersOf(Object list) {
        if (!(list instanceof List<?> triggers)) return new Trigger[0];
        return triggers.stream().map(Json::object).map(each -> new Trigger(text(each, "name"), text(each, "kind"), text(each, "class"))).toArray(Trigger[]::new);
    }

    private static String text(Map<String, Object> map, String key) {
        return map.get(key) instanceof String text ? text : "";
    }
}
