package dunlin.guest;

import java.io.FileInputStream;
import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Map;

/** The agent's side of things, opened from what the agent put into the environment. */
final class Channel {
    final Doorbell doorbell;
    final RingReader reader;
    final RingWriter writer;

    Channel(Map<String, String> environment) throws IOException, ReflectiveOperationException {
        int memoryFd = Integer.parseInt(environment.get("DUNLIN_MEMORY_FD"));
        Memory memory;
        // The memory can be opened again by its number, unlike the doorbell; the descriptor itself is then closed.
        try (FileChannel file = FileChannel.open(Path.of("/proc/self/fd/" + memoryFd), StandardOpenOption.READ, StandardOpenOption.WRITE)) {
            memory = new Memory(file);
        }
        new FileInputStream(Doorbell.descriptor(memoryFd)).close();
        doorbell = new Doorbell(Integer.parseInt(environment.get("DUNLIN_DOORBELL_FD")));
        Bodies bodies = new Bodies(environment.get("DUNLIN_BODY_DIR"));
        reader = new RingReader(memory, doorbell, bodies);
        writer = new RingWriter(memory, doorbell, bodies);
        doorbell.exitWithAgent();
    }

    /** The next record; sleeps until there is one. */
    byte[] read() {
        for (;;) {
            byte[] record = reader.next();
            if (record != null) return record;
            sleep();
        }
    }

    /** Tells the agent all there is to tell, and sleeps until it rings, if nothing has come meanwhile. */
    void sleep() {
        reader.release();
        writer.ring();
        if (!reader.sleep()) return;
        doorbell.await();
        reader.wakeUp();
    }

    /** As `sleep`, up to a time. False: the time is over. */
    boolean sleep(long ms) {
        reader.release();
        writer.ring();
        if (!reader.sleep()) return true;
        boolean rang = ms > 0 && doorbell.await(ms);
        reader.wakeUp();
        return rang;
    }
}
