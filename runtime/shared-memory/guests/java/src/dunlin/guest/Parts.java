package dunlin.guest;

import dunlin.Response;
import java.io.IOException;
import java.io.InputStream;
import java.util.Arrays;
import java.util.Iterator;

/**
 * An answer that goes out in parts as they come (docs/ring.md, "Streamed answers"). While its reader takes nothing, the worker waits: its handler
 * does one thing at a time.
 */
final class Parts {
    private static final int CHUNK_BYTES_MAX = 64 << 10;
    private static final long CREDIT_BYTES = 256 << 10;

    /** Sends a record, and waits until there is credit again. */
    interface Sender {
        void chunk(int status, byte[] head, byte[] body) throws IOException;

        void awaitCredit();
    }

    final long ticket;
    private final Sender sender;
    private long credit = CREDIT_BYTES;
    private boolean isCancelled;
    private boolean isHeadSent;
    private int status = 200;
    private byte[] head;

    Parts(long ticket, Sender sender) {
        this.ticket = ticket;
        this.sender = sender;
    }

    /** A credit of 0: the reader is gone. */
    void onCredit(long bytes) {
        credit += bytes;
        isCancelled |= bytes == 0;
    }

    /** Something may be sent, or nothing ever again. */
    boolean isOpen() {
        return credit > 0 || isCancelled;
    }

    /** Sends all parts; returns the RESULT that ends them. */
    Answer send(Object value) throws Exception {
        Response response = value instanceof Response given ? given : null;
        Object body = response == null ? value : response.body();
        try {
            if (response != null) {
                status = response.status();
                head = new Head().addIfAny(Wire.CONTENT_TYPE, response.contentType()).headers(response.headers()).bytes();
                chunk(Head.NONE);
            }
            if (body instanceof InputStream stream) sendStream(stream);
            else sendParts((Iterator<?>) body);
            if (!isHeadSent) chunk(Head.NONE);
            return new Answer(200, response != null && response.isNoAck() ? Wire.NO_ACK : 0, Head.NONE, Head.NONE);
        } finally {
            if (body instanceof AutoCloseable closeable) closeable.close();
        }
    }

    private void sendStream(InputStream stream) throws IOException {
        byte[] buffer = new byte[CHUNK_BYTES_MAX];
        for (int read; !isCancelled && (read = stream.read(buffer)) >= 0;) part(Arrays.copyOf(buffer, read));
    }

    private void sendParts(Iterator<?> parts) throws IOException {
        while (!isCancelled && parts.hasNext()) {
            Object part = parts.next();
            if (head == null) head = new Head().addIfAny(Wire.CONTENT_TYPE, Answer.contentType(part)).bytes();
            part(Answer.bytes(part));
        }
    }

    private void part(byte[] body) throws IOException {
        for (int at = 0; at < body.length;) {
            while (!isOpen()) sender.awaitCredit();
            if (isCancelled) return;
            int count = (int) Math.min(Math.min(body.length - at, credit), CHUNK_BYTES_MAX);
            credit -= count;
            chunk(Arrays.copyOfRange(body, at, at + count));
            at += count;
        }
    }

    private void chunk(byte[] body) throws IOException {
        sender.chunk(isHeadSent ? 0 : status, isHeadSent || head == null ? Head.NONE : head, body);
        isHeadSent = true;
    }
}
