package dunlin;

/** What brings events to this worker. {@code type} is what the agent calls the trigger's class. */
public record Trigger(String name, String kind, String type) {}
