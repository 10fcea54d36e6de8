package io.nuclio;

public interface TriggerInfo {
    /** sync or async. */
    String getClassName();

    /** mqtt, http, cron, ... */
    String getKindName();
}
