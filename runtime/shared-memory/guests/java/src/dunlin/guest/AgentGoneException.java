package dunlin.guest;

/** The doorbell's other end is closed: nobody will ever read what we write. */
final class AgentGoneException extends RuntimeException {
    private static final long serialVersionUID = 1;

    AgentGoneException(Throwable cause) {
        super("The agent is gone", cause);
    }
}
