package io.nuclio;

/** A function as Nuclio's Java runtime knows it: such a class runs here as it is. These interfaces have the names of Nuclio's nuclio-sdk-java 1.1. */
public interface EventHandler {
    Response handleEvent(Context context, Event event);
}
