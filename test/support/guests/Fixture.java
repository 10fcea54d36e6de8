import dunlin.Context;
import dunlin.Event;
import dunlin.Handler;
import dunlin.Logger;
import dunlin.Response;
import java.lang.reflect.Field;
import java.lang.reflect.Method;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** The fixture function in Java: README.md beside this file says what it does. */
public class Fixture implements Handler {
    private static final Map<String, Object> FIELDS = Map.of("celsius", 90, "where", "här");

    @Override
    public void initContext(Context context) throws Exception {
        if (context.functionName().equals("init-fails")) throw new IllegalStateException("init has failed");
        Path died = Path.of("died");
        if (context.functionName().equals("init-dies") && !Files.exists(died)) {
            Files.createFile(died);
            die();
        }
        context.onDrain(() -> {
            System.out.println("drained");
            if (context.functionName().equals("drain-dies")) die();
        });
        context.onTermination(() -> System.out.println("terminated"));
    }

    @Override
    public Object handle(Context context, Event event) throws Exception {
        if (event.path().equals("/echo")) return event.body();
        if (event.path().equals("/describe")) return describe(event);
        List<String> answer = new ArrayList<>();
        Map<String, String> headers = new LinkedHashMap<>();
        int status = 200;
        String type = "text/plain";
        for (String line : event.text().split("\n")) {
            String[] step = parted(line);
            String rest = step[1];
            String[] words = parted(rest);
            String name = words[0];
            String text = words[1];
            switch (step[0]) {
                case "emit" -> context.emit(name, text, null, Map.of("unit", "°C"));
                case "emits" -> {
                    for (int i = 0; i < Integer.parseInt(text); i++) context.emit(name, String.valueOf(i));
                }
                case "publish" -> context.publish(name, text, 1, true);
                case "set" -> context.state().set(name, text);
                case "delete" -> context.state().delete(name);
                case "get" -> answer.add(context.state().getText(name, "-"));
                case "fill" -> context.state().set(name, filled(Integer.parseInt(text)));
                case "size" -> answer.add(String.valueOf(((byte[]) context.state().get(name)).length));
                case "log" -> context.logger().log(level(name), text, FIELDS);
                case "print" -> System.out.println(rest);
                case "call" -> {
                    Response called = context.callFunction(name, text);
                    answer.add(called.status() + " " + called.text());
                }
                case "raise" -> throw new IllegalArgumentException(rest);
                case "status" -> status = Integer.parseInt(rest);
                case "header" -> headers.put(name, text);
                case "type" -> type = rest;
                case "pid" -> answer.add(String.valueOf(ProcessHandle.current().pid()));
                case "attempt" -> context.emit(name, String.valueOf(event.attempt()));
                case "die" -> {
                    if (event.attempt() == 1 || rest.equals("always")) die();
                }
                case "forge" -> forge(context, rest);
                case "spin" -> {
                    while (event.attempt() > 0);
                }
                case "wait" -> {
                    while (!Files.exists(Path.of(rest))) Thread.sleep(1);
                }
                default -> {}
            }
        }
        Response response = new Response(status, String.join("\n", answer)).contentType(type);
        headers.forEach(response::header);
        return response;
    }

    /** Writes a RESULT as the guest does, through fields that are not the function's. */
    private static void forge(Context context, String ticket) throws Exception {
        Object worker = field(context, "worker");
        Object writer = field(field(worker, "channel"), "writer");
        Object current = field(worker, "current");
        long number = ticket.equals("own") ? (long) method(current, "ticket").invoke(current) : Long.parseLong(ticket);
        method(writer, "write").invoke(writer, 17, 0, 200, number, new byte[0], new byte[0]);
    }

    private static Object field(Object owner, String name) throws ReflectiveOperationException {
        Field field = owner.getClass().getDeclaredField(name);
        field.setAccessible(true);
        return field.get(owner);
    }

    private static Method method(Object owner, String name) {
        for (Method method : owner.getClass().getDeclaredMethods()) {
            if (!method.getName().equals(name)) continue;
            method.setAccessible(true);
            return method;
        }
        throw new IllegalStateException("there is no " + name);
    }

    private static String[] parted(String text) {
        int at = text.indexOf(' ');
        return at < 0 ? new String[] {text, ""} : new String[] {text.substring(0, at), text.substring(at + 1)};
    }

    private static byte[] filled(int length) {
        byte[] bytes = new byte[length];
        Arrays.fill(bytes, (byte) 7);
        return bytes;
    }

    private static int level(String name) {
        return switch (name) {
            case "debug" -> Logger.DEBUG;
            case "warn" -> Logger.WARN;
            case "error" -> Logger.ERROR;
            default -> Logger.INFO;
        };
    }

    private static String describe(Event event) {
        List<String> lines = new ArrayList<>();
        lines.add("id=" + event.id());
        lines.add("content_type=" + event.contentType());
        lines.add("method=" + event.method());
        lines.add("path=" + event.path());
        lines.add("url=" + event.url());
        lines.add("topic=" + event.topic());
        lines.add("type=" + event.type());
        lines.add("type_version=" + event.typeVersion());
        lines.add("order_key=" + event.orderKey());
        lines.add("shard_id=" + event.shardId());
        lines.add("num_shards=" + event.numShards());
        lines.add("offset=" + event.offset());
        lines.add("qos=" + event.qos());
        lines.add("attempt=" + event.attempt());
        lines.add("size=" + event.size());
        lines.add("boot_id=" + event.bootId());
        lines.add("monotonic_ns=" + event.monotonicNs());
        lines.add("clock_quality=" + event.clockQuality());
        lines.add("retain=" + (event.retain() ? 1 : 0));
        lines.add("replayed=" + (event.replayed() ? 1 : 0));
        lines.add("time_ms=" + event.timestamp().toEpochMilli());
        lines.add("trigger=" + event.trigger().kind() + "/" + event.trigger().name());
        event.headers().forEach((name, value) -> lines.add("header " + name + "=" + value));
        event.fields().forEach((name, value) -> lines.add("field " + name + "=" + value));
        return String.join("\n", lines);
    }

    /** Java cannot send itself a signal without another program. */
    private static void die() {
        try {
            new ProcessBuilder("kill", "-9", String.valueOf(ProcessHandle.current().pid())).start().waitFor();
        } catch (Exception error) {
            Runtime.getRuntime().halt(9);
        }
    }
}
