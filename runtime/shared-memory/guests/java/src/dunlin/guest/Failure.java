package dunlin.guest;

import java.io.PrintWriter;
import java.io.StringWriter;
import java.lang.reflect.InvocationTargetException;
import java.util.Arrays;

/** What a handler threw, as items for the agent: the stack ends where the function's own code does. */
final class Failure {
    private static final int CAUSES_MAX = 20;

    private Failure() {}

    static byte[] head(Throwable error) {
        Throwable thrown = error instanceof InvocationTargetException && error.getCause() != null ? error.getCause() : error;
        return new Head().clipped(Wire.ERROR, thrown.toString()).clipped(Wire.STACK, stack(thrown)).bytes();
    }

    static String stack(Throwable error) {
        Throwable each = error;
        for (int i = 0; each != null && i < CAUSES_MAX; i++, each = each.getCause()) cutStack(each);
        StringWriter out = new StringWriter();
        error.printStackTrace(new PrintWriter(out));
        return out.toString();
    }

    private static void cutStack(Throwable error) {
        StackTraceElement[] frames = error.getStackTrace();
        int end = frames.length;
        while (end > 0 && isOurs(frames[end - 1])) end--;
        if (end > 0 && end < frames.length) error.setStackTrace(Arrays.copyOf(frames, end));
    }

    /** The guest, and the reflection by which it makes the handler. */
    private static boolean isOurs(StackTraceElement frame) {
        String name = frame.getClassName();
        return name.startsWith("dunlin.guest.") || name.startsWith("jdk.internal.reflect.") || name.startsWith("java.lang.reflect.");
    }
}
