package dunlin;

import java.util.Map;

/** The function's log, published at once: the last line before a crash arrives. May be used from any thread. */
public interface Logger {
    int DEBUG = 10;
    int INFO = 20;
    int WARN = 30;
    int ERROR = 40;

    void log(int level, String message, Map<String, ?> fields);

    /** A logger whose lines carry its name. */
    Logger child(String name);

    default void debug(String message) {
        log(DEBUG, message, Map.of());
    }

    default void debug(String message, Map<String, ?> fields) {
        log(DEBUG, message, fields);
    }

    default void info(String message) {
        log(INFO, message, Map.of());
    }

    default void info(String message, Map<String, ?> fields) {
        log(INFO, message, fields);
    }

    default void warn(String message) {
        log(WARN, message, Map.of());
    }

    default void warn(String message, Map<String, ?> fields) {
        log(WARN, message, fields);
    }

    default void error(String message) {
        log(ERROR, message, Map.of());
    }

    default void error(String message, Map<String, ?> fields) {
        log(ERROR, message, fields);
    }

    /** The message with the error's stack. */
    void error(String message, Throwable error);
}
