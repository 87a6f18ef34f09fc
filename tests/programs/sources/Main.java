import java.net.InetAddress;
import java.net.NetworkInterface;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Collections;
import java.util.concurrent.Executors;
import javax.net.ssl.SSLContext;

public class Main {
    public static void main(String[] words) throws Exception {
        var threads = Executors.newFixedThreadPool(4);
        System.out.println(threads.submit(() -> 42).get());
        threads.shutdown();
        Path file = Files.createTempFile("one", "two");
        Path directory = Files.createTempDirectory("three");
        System.out.println(Files.exists(Files.move(file, directory.resolve("four"))));
        System.out.println(new ProcessBuilder("echo", "child").inheritIO().start().waitFor());
        System.out.println(InetAddress.getByName("localhost").isLoopbackAddress());
        System.out.println(InetAddress.getLocalHost().getHostName().isEmpty());
        var interfaces = Collections.list(NetworkInterface.getNetworkInterfaces());
        System.out.println(interfaces.stream().anyMatch(one -> one.getName().equals("lo")));
        System.out.println(SSLContext.getDefault().getProtocol());
    }
}
