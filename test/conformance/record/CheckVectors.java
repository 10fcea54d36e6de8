package dunlin.guest;

import dunlin.Trigger;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;

/** Checks the Java guest against the record vectors: decodes each, and writes those that a guest writes. Argument: the vectors' folder. */
final class CheckVectors {
    private static final int RING_BYTES = 8192;

    public static void main(String[] arguments) throws Exception {
        Memory memory = memory();
        RingWriter writer = new RingWriter(memory, null, null);
        int at = Memory.CONTROL_BYTES + RING_BYTES;
        int checked = 0;
        List<Path> paths;
        try (Stream<Path> found = Files.list(Path.of(arguments[0]))) {
            paths = found.filter(path -> path.toString().endsWith(".json")).sorted().toList();
        }
        for (Path path : paths) {
            Map<String, Object> vector = Json.object(Json.parse(Files.readString(path)));
            byte[] record = HexFormat.of().parseHex((String) vector.get("bytesHex"));
            decode(vector, record);
            if (number(vector, "kind") >= Wire.READY) {
                byte[] body = HexFormat.of().parseHex((String) vector.get("bodyHex"));
                int kind = (int) number(vector, "kind");
                writer.tryWrite(kind, (int) number(vector, "flags"), (int) number(vector, "status"), number(vector, "ticket"), head(vector), body);
                byte[] written = new byte[record.length];
                memory.bytes.get(at, written);
                expect(Arrays.equals(written, record), vector, "is written as " + HexFormat.of().formatHex(written));
                at += record.length;
            }
            checked++;
        }
        System.out.println(checked);
    }

    private static void decode(Map<String, Object> vector, byte[] record) {
        RingEvent event = new RingEvent(record, null, new Trigger[0]);
        expect(Wire.i32(record, 0) == record.length, vector, "size");
        expect(Wire.kind(record) == number(vector, "kind"), vector, "kind");
        expect((record[Wire.FLAGS_AT] & 0xff) == number(vector, "flags"), vector, "flags");
        expect(Wire.u16(record, Wire.STATUS_AT) == number(vector, "status"), vector, "status");
        expect(event.ticket() == number(vector, "ticket"), vector, "ticket");
        expect(Wire.i64(record, Wire.TIME_AT) == number(vector, "timeUs"), vector, "timeUs");
        expect(event.monotonicNs() == number(vector, "monotonicNs"), vector, "monotonicNs");
        expect(event.id().replace("-", "").equals(vector.get("id")), vector, "id " + event.id());
        expect(Wire.u16(record, Wire.SOURCE_AT) == number(vector, "source"), vector, "source");
        expect(event.attempt() == number(vector, "attempt"), vector, "attempt");
        expect(event.bootId() == number(vector, "boot"), vector, "boot");
        expect(HexFormat.of().formatHex(event.body()).equals(vector.get("bodyHex")), vector, "body");
        List<Object> items = new ArrayList<>();
        Wire.items(record, (tag, key, value) -> items.add(List.of((long) tag, value, key)));
        expect(items.equals(vector.get("head")), vector, "head " + items);
    }

    private static byte[] head(Map<String, Object> vector) {
        Head head = new Head();
        for (Object each : (List<?>) vector.get("head")) {
            List<?> item = (List<?>) each;
            head.add(((Long) item.get(0)).intValue(), (String) item.get(1), (String) item.get(2));
        }
        return head.bytes();
    }

    private static Memory memory() throws IOException {
        Path path = Files.createTempFile("dunlin", "vectors");
        try (FileChannel file = FileChannel.open(path, StandardOpenOption.READ, StandardOpenOption.WRITE, StandardOpenOption.DELETE_ON_CLOSE)) {
            ByteBuffer page = ByteBuffer.allocate(Memory.CONTROL_BYTES + 2 * RING_BYTES).order(ByteOrder.LITTLE_ENDIAN);
            page.putInt(0, 0x474E5244).putInt(4, 1).putInt(8, RING_BYTES).putInt(12, RING_BYTES);
            file.write(page);
            return new Memory(file);
        }
    }

    private static long number(Map<String, Object> vector, String name) {
        return (Long) vector.get(name);
    }

    private static void expect(boolean isTrue, Map<String, Object> vector, String what) {
        if (!isTrue) throw new AssertionError(vector.get("name") + ": " + what);
    }
}
