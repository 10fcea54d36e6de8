package io.nuclio;

public interface Context {
    Logger getLogger();
}
