package io.nuclio;

/** {@code format} with arguments as {@link String#format}; the ones with With take name, value, name, value, ... */
public interface Logger {
    void error(String format, Object... args);

    void warn(String format, Object... args);

    void info(String format, Object... args);

    void debug(String format, Object... args);

    void errorWith(String format, Object... vars);

    void warnWith(String format, Object... vars);

    void infoWith(String format, Object... vars);

    void debugWith(String format, Object... vars);
}
