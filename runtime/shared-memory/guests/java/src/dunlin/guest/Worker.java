package dunlin.guest;

import dunlin.CallTimeoutException;
import dunlin.Event;
import dunlin.State;
import dunlin.Trigger;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
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
    private final Loaded handler;
    private final boolean isBatch;
    private final RingContext context;
    private final StateCache cache;
    private final Thread main = Thread.currentThread();
    /** Read while the main thread waited for an answer. */
    private final ArrayDeque<RingEvent> early = new ArrayDeque<>();
    private boolean isStopping;
    private boolean isDrainAsked;
    /** The events of a batch whose end has not come. */
    private List<Event> batch = new ArrayList<>();
    /** The answer that is being sent in parts. */
    private Parts parts;
    private long requests;
    /** Guarded by the writer: an operation of another thread is written before the event's RESULT, or refused. */
    private volatile RingEvent current;
    private final ArrayDeque<LogLine> lateLogs = new ArrayDeque<>();

    private record LogLine(int level, long ticket, byte[] head, byte[] text) {}

    Worker(Channel channel, Map<String, Object> init, Loaded handler) {
        this.channel = channel;
        this.handler = handler;
        isBatch = init.get("batch") == Boolean.TRUE;
        handler.check(isBatch);
        triggers = triggersOf(init.get("triggers"));
        cache = new StateCache(init.get("stateExclusive") == Boolean.TRUE);
        logger = new RingLogger(this, String.valueOf(init.get("logLevel")));
        context = new RingContext(this, init, stateOf(null));
    }

    void init() throws Exception {
        handler.initContext(context);
    }

    void run(long initTicket) throws IOException {
        channel.writer.write(Wire.READY, 0, SEQUENTIAL, initTicket, Head.NONE, "{\"guest\":\"java\"}".getBytes());
        serve();
        context.drained();
        context.terminated();
        sendLateLogs();
        channel.reader.release();
        channel.writer.ring();
    }

    State stateOf(RingEvent bound) {
        return new RingState(cache, this, bound);
    }

    RingEvent current() {
        return current;
    }

    /** Writes what belongs to an event; null: to the one being handled. Throws IllegalStateException when it is over, or there is none. */
    RingEvent operation(RingEvent chosen, int kind, int flags, byte[] head, byte[] body) {
        synchronized (channel.writer) {
            RingEvent event = chosen == null ? current : chosen;
            if (event == null || event.isDone) throw new IllegalStateException("No event is being handled: emit, publish and state belong to an event");
            try {
                channel.writer.write(kind, flags, 0, event.ticket(), head, body);
            } catch (IOException error) {
                throw new UncheckedIOException(error);
            }
            return event;
        }
    }

    void acknowledge(RingEvent event, int status, byte[] head) {
        synchronized (channel.writer) {
            try {
                channel.writer.write(Wire.ACK, 0, status, event.ticket(), head, Head.NONE);
                channel.writer.ring();
            } catch (IOException error) {
                throw new UncheckedIOException(error);
            }
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
            } else if (Wire.ticket(record) == ticket && (Wire.kind(record) == Wire.STATE_VALUE || Wire.kind(record) == Wire.CALL_RESULT)) {
                return event(record);
            } else {
                accept(record);
            }
        }
    }

    /** What comes while the main thread waits for something else. */
    private void accept(byte[] record) {
        switch (Wire.kind(record)) {
            case Wire.EVENT -> early.add(event(record));
            case Wire.STOP -> onStop(record);
            case Wire.CREDIT -> {
                byte[] body = Wire.inlineBody(record);
                if (parts != null && parts.ticket == Wire.ticket(record)) parts.onCredit(Wire.i32(body, 0) & 0xffff_ffffL);
            }
            // The answer to a call that has timed out: its body's file goes with it.
            default -> channel.reader.body(record);
        }
    }

    private void onStop(byte[] record) {
        if (Wire.u16(record, Wire.STATUS_AT) == Wire.DRAIN_ONLY) isDrainAsked = true;
        else isStopping = true;
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
            if (isDrainAsked) {
                isDrainAsked = false;
                context.drained();
                channel.writer.ring();
            }
            if (event == null) {
                if (isStopping) return;
                channel.sleep();
                count = 0;
                since = System.nanoTime();
                continue;
            }
            if (isBatch) collect(event);
            else handle(event);
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
            else accept(record);
            if (isDrainAsked) return event;
        }
        return event;
    }

    private RingEvent event(byte[] record) {
        return new RingEvent(record, Wire.has(record, Wire.EXTERNAL_BODY) ? channel.reader.body(record) : null, triggers);
    }

    private void handle(RingEvent event) throws IOException {
        forgetIfAgain(event);
        current = event;
        Answer answer;
        try {
            Object value = handler.handle(context, event);
            answer = Answer.isInParts(value) ? inParts(event, value) : Answer.of(value);
        } catch (AgentGoneException error) {
            throw error;
        } catch (Exception | StackOverflowError | LinkageError | AssertionError error) {
            answer = Answer.failed(error);
        }
        synchronized (channel.writer) {
            current = null;
            end(event, answer);
        }
    }

    /** With the last event of a batch the handler gets them all. */
    private void collect(RingEvent event) throws IOException {
        forgetIfAgain(event);
        batch.add(event);
        if (Wire.has(event.record, Wire.BATCH_MORE)) return;
        List<Event> events = batch;
        batch = new ArrayList<>();
        current = (RingEvent) events.get(0);
        List<Answer> answers = new ArrayList<>();
        try {
            answers = Answer.ofBatch(handler.handleBatch(context, events), events);
        } catch (AgentGoneException error) {
            throw error;
        } catch (Exception | StackOverflowError | LinkageError | AssertionError error) {
            for (int i = 0; i < events.size(); i++) answers.add(Answer.failed(error, Wire.BATCH_FAILED));
        }
        synchronized (channel.writer) {
            current = null;
            for (int i = 0; i < events.size(); i++) end((RingEvent) events.get(i), answers.get(i));
        }
    }

    /** It comes again, or after one whose outcome was not committed. */
    private void forgetIfAgain(RingEvent event) {
        if (event.attempt() > 1 || event.record[Wire.STATUS_AT] != 0) cache.clear();
    }

    private void end(RingEvent event, Answer answer) throws IOException {
        event.isDone = true;
        try {
            write(event, answer);
            if (event.changes != null && answer.status() < 500) event.changes.forEach(cache::put);
        } catch (IllegalArgumentException | IOException error) {
            // Too large, or no room for a large body: what the event did is not committed.
            cache.clear();
            write(event, Answer.failed(error));
        }
    }

    private Answer inParts(RingEvent event, Object value) throws Exception {
        parts = new Parts(event.ticket(), new Parts.Sender() {
            @Override
            public void chunk(int status, byte[] head, byte[] body) throws IOException {
                channel.writer.write(Wire.CHUNK, 0, status, event.ticket(), head, body);
                channel.writer.ring();
                for (byte[] record; (record = channel.reader.next()) != null;) accept(record);
            }

            @Override
            public void awaitCredit() {
                byte[] record = channel.reader.next();
                if (record == null) channel.sleep();
                else accept(record);
            }
        });
        try {
            return parts.send(value);
        } finally {
            parts = null;
        }
    }

    private void write(RingEvent event, Answer answer) throws IOException {
        channel.writer.write(Wire.RESULT, answer.flags(), answer.status(), event.ticket(), answer.head(), answer.body());
    }

    private static Trigger[] triggersOf(Object list) {
        if (!(list instanceof List<?> triggers)) return new Trigger[0];
        return triggers.stream().map(Json::object).map(each -> new Trigger(text(each, "name"), text(each, "kind"), text(each, "class"))).toArray(Trigger[]::new);
    }

    private static String text(Map<String, Object> map, String key) {
        return map.get(key) instanceof String text ? text : "";
    }
}
