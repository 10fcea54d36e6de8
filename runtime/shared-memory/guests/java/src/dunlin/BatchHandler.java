package dunlin;

import java.util.List;

/** A function of a trigger with {@code batch}: one call for a list of events. As {@link Handler} otherwise. */
@FunctionalInterface
public interface BatchHandler {
    /**
     * Handles a batch, of one event or more. A List of {@link Response}s that all name their event ({@link Response#eventId}) is matched by id, and an event
     * that is not named has failed; another List of as many entries as there are events is matched by position; anything else is the answer of every event.
     * What it throws fails the batch: each event is then given once more, alone.
     */
    Object handle(Context context, List<Event> events) throws Exception;

    /** Called once, before the first event. */
    default void initContext(Context context) throws Exception {}
}
