package dunlin.guest;

import java.nio.charset.StandardCharsets;
import java.util.Map;

/** Started by the agent with the ring and the doorbell as inherited file descriptors, and the function's code on the class path. */
public final class Main {
    private Main() {}

    public static void main(String[] arguments) throws Exception {
        int code = 1;
        try {
            code = serve(new Channel(System.getenv()));
        } catch (AgentGoneException error) {
            Runtime.getRuntime().halt(1);
        }
        // Threads that the function has left behind do not keep the process.
        System.exit(code);
    }

    private static int serve(Channel channel) throws Exception {
        byte[] record = channel.read();
        Map<String, Object> init = Json.object(Json.parse(new String(channel.reader.body(record), StandardCharsets.UTF_8)));
        boolean isReady = false;
        try {
            Worker worker = new Worker(channel, init, Loaded.of(String.valueOf(init.get("handler"))));
            worker.init();
            isReady = true;
            worker.run(Wire.ticket(record));
            return 0;
        } catch (Exception | LinkageError | StackOverflowError | AssertionError error) {
            if (isReady || error instanceof AgentGoneException) throw error;
            channel.writer.write(Wire.INIT_FAILED, 0, 500, Wire.ticket(record), Failure.head(error), Head.NONE);
            channel.writer.ring();
            return 1;
        }
    }
}
