// Fetches a URL through an HTTP proxy, HOST PORT URL, by both of Java's
// clients, three times each.  Says "ok WHICH" where the answer is $WANTED.
import java.io.InputStream;
import java.net.InetSocketAddress;
import java.net.Proxy;
import java.net.ProxySelector;
import java.net.URI;
import java.net.URL;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;

class Http {
	interface Fetch {
		String get() throws Exception;
	}

	static boolean tell(String name, Fetch fetch) {
		try {
			for (int i = 0; i < 3; i++) {
				String got = fetch.get();

				if (!got.equals(System.getenv("WANTED")))
					throw new Exception("got " + got);
			}
			System.out.println("ok " + name);
			return true;
		} catch (Exception e) {
			System.out.println("failed " + name + ": " + e);
			return false;
		}
	}

	public static void main(String[] args) throws Exception {
		InetSocketAddress at = new InetSocketAddress(
			args[0], Integer.parseInt(args[1]));
		Proxy proxy = new Proxy(Proxy.Type.HTTP, at);
		HttpClient client = HttpClient.newBuilder()
			.proxy(ProxySelector.of(at)).build();
		HttpRequest request = HttpRequest.newBuilder(
			URI.create(args[2])).build();
		boolean fine = tell("old", () -> {
			try (InputStream in = new URL(args[2])
					.openConnection(proxy).getInputStream()) {
				return new String(in.readAllBytes());
			}
		});

		fine &= tell("new", () -> client.send(request,
			HttpResponse.BodyHandlers.ofString()).body());
		System.exit(fine ? 0 : 1);
	}
}
