import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Objects;
import java.util.function.BooleanSupplier;

/**
 * The real Java client of the conformance suite. The runner calls it like the Python programs:
 * with --list for one JSON object per case, or with a case and the brokers' addresses.
 */
public final class Conformance {
    interface Body {
        void run(String bootstrap) throws Exception;
    }

    record Case(Body body, String config, int deadline) {}

    static final String NO_AUTO_CREATE = "defaults: { autoCreateTopics: false }\n";
    static final long WAIT_MS = 30_000;

    private static final Map<String, Case> cases = new LinkedHashMap<>();
    private static final BufferedReader answers =
        new BufferedReader(new InputStreamReader(System.in));

    static void add(String name, Body body) {
        add(name, null, 60, body);
    }

    static void add(String name, String config, int deadline, Body body) {
        cases.put(name, new Case(body, config, deadline));
    }

    static void check(boolean condition, String what) {
        if (!condition) {
            throw new AssertionError(what);
        }
    }

    static void equal(Object got, Object expected, String what) {
        if (!Objects.equals(got, expected)) {
            throw new AssertionError(what + ": expected " + clip(expected) + ", got " + clip(got));
        }
    }

    private static String clip(Object value) {
        String text = String.valueOf(value);
        return text.length() <= 400 ? text : text.substring(0, 400) + "...";
    }

    /** Polls until the condition holds. */
    static void waitFor(String what, BooleanSupplier condition) throws InterruptedException {
        long end = System.nanoTime() + WAIT_MS * 1_000_000;
        while (!condition.getAsBoolean()) {
            check(System.nanoTime() < end, what + ": not within " + WAIT_MS + " ms");
            Thread.sleep(10);
        }
    }

    /** Asks the runner to kill, stop, start or restart the broker, and waits until that is done. */
    static void broker(String action) throws Exception {
        System.out.println("@broker " + action);
        System.out.flush();
        equal(answers.readLine(), "done", "the runner's answer to " + action);
    }

    public static void main(String[] arguments) {
        Messages.register();
        Groups.register();
        Administration.register();
        if (arguments[0].equals("--list")) {
            cases.forEach((name, c) -> System.out.printf(
                "{\"name\": \"%s\", \"config\": %s, \"deadline\": %d}%n", name,
                c.config() == null ? "null" : "\"" + c.config().replace("\n", "\\n") + "\"",
                c.deadline()));
            return;
        }
        int code = 0;
        try {
            cases.get(arguments[0]).body().run(arguments[1]);
        } catch (Throwable error) {
            error.printStackTrace(System.out);
            System.out.println(error);
            code = 1;
        }
        System.out.flush();
        Runtime.getRuntime().halt(code);
    }
}
