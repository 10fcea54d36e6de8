package dunlin.guest;

import dunlin.BatchHandler;
import dunlin.Context;
import dunlin.Event;
import dunlin.Handler;
import io.nuclio.EventHandler;
import java.lang.reflect.Constructor;
import java.util.List;

/** The function's class, and which of the handlers it is: {@link Handler}, {@link BatchHandler}, or Nuclio's {@link EventHandler}. */
final class Loaded {
    private final String name;
    private final Handler one;
    private final BatchHandler many;

    private Loaded(String name, Handler one, BatchHandler many) {
        this.name = name;
        this.one = one;
        this.many = many;
    }

    /** {@code name}: a class, or Nuclio's {@code file:Class}. */
    static Loaded of(String given) throws ReflectiveOperationException {
        String name = given.substring(given.lastIndexOf(':') + 1);
        Class<?> found;
        try {
            found = Class.forName(name);
        } catch (ClassNotFoundException error) {
            throw new ClassNotFoundException("Cannot find class '" + name + "' on the class path " + System.getProperty("java.class.path"), error);
        }
        boolean isHandler = Handler.class.isAssignableFrom(found);
        boolean isNuclio = EventHandler.class.isAssignableFrom(found);
        boolean isBatch = BatchHandler.class.isAssignableFrom(found);
        if (!isHandler && !isNuclio && !isBatch) {
            throw new ClassCastException("Cannot use class '" + name + "': it implements none of dunlin.Handler, dunlin.BatchHandler and io.nuclio.EventHandler");
        }
        Constructor<?> constructor = found.getDeclaredConstructor();
        constructor.setAccessible(true);
        Object made = constructor.newInstance();
        Handler one = isHandler ? (Handler) made : isNuclio ? new NuclioHandler((EventHandler) made) : null;
        return new Loaded(name, one, isBatch ? (BatchHandler) made : null);
    }

    void check(boolean isBatch) {
        if (isBatch && many == null) throw new ClassCastException("Cannot give batches to class '" + name + "': it does not implement dunlin.BatchHandler");
        if (!isBatch && one == null) throw new ClassCastException("Cannot use class '" + name + "': it takes batches only, and the trigger has none (batch: { mode: enable })");
    }

    void initContext(Context context) throws Exception {
        if (one != null) one.initContext(context);
        if (many != null && (Object) many != one) many.initContext(context);
    }

    Object handle(Context context, Event event) throws Exception {
        return one.handle(context, event);
    }

    Object handleBatch(Context context, List<Event> events) throws Exception {
        return many.handle(context, events);
    }
}
