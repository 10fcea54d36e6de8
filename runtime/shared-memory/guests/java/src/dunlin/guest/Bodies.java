package dunlin.guest;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.FileAttribute;
import java.nio.file.attribute.PosixFilePermission;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.Set;
import java.util.concurrent.ThreadLocalRandom;

/**
 * Bodies too large for the ring: files in a directory that the agent made for this channel. One spare file is written again and again
 * while the agent keeps up: fresh pages cost more than the copy.
 */
final class Bodies {
    static final int BODY_BYTES_MAX = 64 << 20;
    private static final int SPARE_BYTES_MAX = 4 << 20;
    private static final int REFERENCE_BYTES = 37;
    /** Java copies through a buffer outside its heap, of this size, and keeps it. */
    private static final int CHUNK_BYTES = 128 << 10;
    private static final FileAttribute<Set<PosixFilePermission>> PRIVATE = PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rw-------"));

    private final Path directory;
    private String spareName;
    private FileChannel spare;

    Bodies(String directory) {
        this.directory = Path.of(directory);
    }

    /** Returns the reference. Throws IOException when there is no room. */
    byte[] put(byte[] body, boolean isAllRead) throws IOException {
        if (isAllRead && body.length <= SPARE_BYTES_MAX) {
            if (spare == null) {
                String name = newName();
                spare = create(name);
                spareName = name;
            }
            writeFully(spare, body);
            return reference(body.length, spareName, true);
        }
        String name = newName();
        try (FileChannel file = create(name)) {
            writeFully(file, body);
        } catch (IOException error) {
            Files.deleteIfExists(directory.resolve(name));
            throw error;
        }
        return reference(body.length, name, false);
    }

    byte[] take(byte[] reference) {
        byte[] body = new byte[Wire.i32(reference, 0)];
        String name = new String(reference, 4, 32, StandardCharsets.US_ASCII);
        Path path = directory.resolve(name);
        try (FileChannel file = FileChannel.open(path, Set.of(StandardOpenOption.READ, LinkOption.NOFOLLOW_LINKS))) {
            for (int at = 0; at < body.length;) {
                int read = file.read(ByteBuffer.wrap(body, at, Math.min(CHUNK_BYTES, body.length - at)));
                if (read < 0) throw new IOException(at + " of " + body.length + " bytes are there");
                at += read;
            }
            if (reference[36] == 0) Files.delete(path);
            return body;
        } catch (IOException error) {
            throw new IllegalStateException("Cannot take body " + name + ": " + error.getMessage(), error);
        }
    }

    private FileChannel create(String name) throws IOException {
        return FileChannel.open(directory.resolve(name), Set.of(StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE), PRIVATE);
    }

    private static void writeFully(FileChannel file, byte[] body) throws IOException {
        for (int at = 0; at < body.length;) at += file.write(ByteBuffer.wrap(body, at, Math.min(CHUNK_BYTES, body.length - at)), at);
    }

    /** The directory is the channel's own: a name must be new, not secret. */
    private static String newName() {
        ThreadLocalRandom random = ThreadLocalRandom.current();
        return String.format("%016x%016x", random.nextLong(), random.nextLong());
    }

    private static byte[] reference(int length, String name, boolean isLeft) {
        ByteBuffer reference = ByteBuffer.allocate(REFERENCE_BYTES).order(java.nio.ByteOrder.LITTLE_ENDIAN);
        return reference.putInt(length).put(name.getBytes(StandardCharsets.US_ASCII)).put((byte) (isLeft ? 1 : 0)).array();
    }
}
