package io.nuclio;

import java.util.Date;
import java.util.Map;

/** Header names are case-insensitive; what is not there is null, a number that is not there 0. */
public interface Event {
    String getID();

    TriggerInfo getTriggerInfo();

    String getContentType();

    byte[] getBody();

    Object getHeader(String key);

    String getHeaderString(String key);

    byte[] getHeaderBytes(String key);

    long getHeaderLong(String key);

    Map<String, Object> getHeaders();

    Object getField(String key);

    String getFieldString(String key);

    byte[] getFieldBytes(String key);

    long getFieldLong(String key);

    Map<String, Object> getFields();

    Date getTimestamp();

    String getPath();

    String getURL();

    String getMethod();

    long getShardID();

    long getTotalNumShards();

    String getType();

    String getTypeVersion();

    String getVersion();
}
