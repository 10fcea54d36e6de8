package dunlin;

/** A function. One instance per worker; its methods are called from one thread, one event after the other. It needs a constructor without parameters. */
@FunctionalInterface
public interface Handler {
    /**
     * Handles one event. What it returns is the answer: null, a String ({@code text/plain}), bytes, a {@link Response}, or anything that
     * JSON can say (Map, Iterable, array, Number, Boolean: {@code application/json}). An Iterator or an InputStream, also as the body of a
     * Response, is an answer in parts: each goes out as soon as it is there. What it throws fails the event.
     */
    Object handle(Context context, Event event) throws Exception;

    /** Called once, before the first event. */
    default void initContext(Context context) throws Exception {}
}
