package dunlin.guest;

import java.io.FileDescriptor;
import java.io.FileInputStream;
import java.io.FileOutputStream;
import java.io.IOException;
import java.lang.reflect.Constructor;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;

/**
 * One byte on a socket wakes the side that sleeps; its end of file says that the agent is gone.
 *
 * Java cannot open a descriptor by its number, and a socket cannot be opened again through /proc. The agent owns the command line and opens
 * two packages of java.base for it (--add-opens): FileDescriptor's constructor, and poll(2) for waits with an end.
 */
final class Doorbell {
    private static final int POLLIN = 0x1;
    private static final int POLLRDHUP = 0x2000;

    private final FileDescriptor descriptor;
    private final FileInputStream in;
    private final FileOutputStream out;
    private final Method poll;
    private final byte[] bells = new byte[4096];

    Doorbell(int fd) throws ReflectiveOperationException {
        descriptor = descriptor(fd);
        in = new FileInputStream(descriptor);
        out = new FileOutputStream(descriptor);
        poll = Class.forName("sun.nio.ch.Net").getDeclaredMethod("poll", FileDescriptor.class, int.class, long.class);
        poll.setAccessible(true);
    }

    static FileDescriptor descriptor(int fd) throws ReflectiveOperationException {
        Constructor<FileDescriptor> constructor = FileDescriptor.class.getDeclaredConstructor(int.class);
        constructor.setAccessible(true);
        return constructor.newInstance(fd);
    }

    void ring() {
        try {
            out.write(1);
        } catch (IOException error) {
            throw new AgentGoneException(error);
        }
    }

    /** Sleeps until the agent rings. */
    void await() {
        try {
            if (in.read(bells) <= 0) throw new AgentGoneException(null);
        } catch (IOException error) {
            throw new AgentGoneException(error);
        }
    }

    /** False: the time is over. */
    boolean await(long ms) {
        if (!poll(POLLIN, ms)) return false;
        await();
        return true;
    }

    /** A thread that sleeps until the doorbell is hung up: an agent that died leaves no busy handler behind. */
    void exitWithAgent() {
        Thread watch = new Thread(null, () -> {
            while (!poll(POLLRDHUP, -1));
            Runtime.getRuntime().halt(1);
        }, "dunlin-agent-watch", 64 << 10);
        watch.setDaemon(true);
        watch.start();
    }

    private boolean poll(int events, long ms) {
        try {
            return (int) poll.invoke(null, descriptor, events, ms) != 0;
        } catch (InvocationTargetException | IllegalAccessException error) {
            throw new AgentGoneException(error);
        }
    }
}
