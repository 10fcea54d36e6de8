package dunlin;

/** The function called did not answer in time. */
public class CallTimeoutException extends RuntimeException {
    private static final long serialVersionUID = 1;

    public CallTimeoutException(String message) {
        super(message);
    }
}
