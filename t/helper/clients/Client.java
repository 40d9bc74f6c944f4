/*
 * Fetches each URL through the proxy before it: CA PROXY URL PROXY URL ...
 * A proxy is socks4://HOST:PORT, socks5://[USER:PASSWORD@]HOST:PORT or, for
 * HttpClient, http://HOST:PORT.  Says "ok PROXY URL" where the answer is what
 * stands in $WANTED; a URL that begins with "socket:" is fetched by a plain
 * socket to a name left unresolved.
 */
import java.io.FileInputStream;
import java.io.InputStream;
import java.net.Authenticator;
import java.net.HttpURLConnection;
import java.net.InetSocketAddress;
import java.net.PasswordAuthentication;
import java.net.Proxy;
import java.net.ProxySelector;
import java.net.Socket;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.security.KeyStore;
import java.security.cert.CertificateFactory;
import javax.net.ssl.HttpsURLConnection;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManagerFactory;

public class Client {
	private static final int PATIENCE_MS = 20000;

	private static SSLContext trusting(String path) throws Exception {
		KeyStore store = KeyStore.getInstance(KeyStore.getDefaultType());
		store.load(null, null);
		try (InputStream in = new FileInputStream(path)) {
			store.setCertificateEntry("ca",
				CertificateFactory.getInstance("X.509")
					.generateCertificate(in));
		}
		TrustManagerFactory trust = TrustManagerFactory.getInstance(
			TrustManagerFactory.getDefaultAlgorithm());
		trust.init(store);
		SSLContext context = SSLContext.getInstance("TLS");
		context.init(null, trust.getTrustManagers(), null);
		return context;
	}

	private static void login(String user) {
		String[] words = user == null ? null : user.split(":", 2);
		Authenticator.setDefault(words == null ? null :
			new Authenticator() {
				protected PasswordAuthentication
				getPasswordAuthentication() {
					return new PasswordAuthentication(
						words[0],
						words[1].toCharArray());
				}
			});
	}

	private static Proxy proxy(URI u) {
		System.setProperty("socksProxyVersion",
			u.getScheme().equals("socks4") ? "4" : "5");
		login(u.getUserInfo());
		return new Proxy(Proxy.Type.SOCKS,
			new InetSocketAddress(u.getHost(), u.getPort()));
	}

	private static String text(InputStream in) throws Exception {
		return new String(in.readAllBytes(), StandardCharsets.UTF_8);
	}

	private static String bySocket(Proxy proxy, URI u) throws Exception {
		try (Socket s = new Socket(proxy)) {
			s.setSoTimeout(PATIENCE_MS);
			s.connect(InetSocketAddress.createUnresolved(u.getHost(),
				u.getPort()), PATIENCE_MS);
			s.getOutputStream().write("GET / HTTP/1.0\r\n\r\n"
				.getBytes(StandardCharsets.UTF_8));
			return text(s.getInputStream()).split("\r\n\r\n", 2)[1];
		}
	}

	private static String fetch(SSLContext context, Proxy proxy,
				    String target) throws Exception {
		if (target.startsWith("socket:"))
			return bySocket(proxy, URI.create(target));
		HttpURLConnection c = (HttpURLConnection)
			URI.create(target).toURL().openConnection(proxy);
		c.setConnectTimeout(PATIENCE_MS);
		c.setReadTimeout(PATIENCE_MS);
		if (c instanceof HttpsURLConnection)
			((HttpsURLConnection) c).setSSLSocketFactory(
				context.getSocketFactory());
		return text(c.getInputStream());
	}

	/* By the other client that Java has, which knows no SOCKS. */
	private static String byHttp(SSLContext context, URI proxy,
				     String target) throws Exception {
		HttpClient client = HttpClient.newBuilder().sslContext(context)
			.proxy(ProxySelector.of(new InetSocketAddress(
				proxy.getHost(), proxy.getPort()))).build();
		HttpRequest request = HttpRequest.newBuilder(
			URI.create(target)).build();

		return client.send(request, HttpResponse.BodyHandlers.ofString())
			.body();
	}

	public static void main(String[] args) throws Exception {
		SSLContext context = trusting(args[0]);
		int failed = 0;

		for (int i = 1; i + 1 < args.length; i += 2) {
			String said;
			try {
				URI by = URI.create(args[i]);

				said = by.getScheme().equals("http")
					? byHttp(context, by, args[i + 1])
					: fetch(context, proxy(by), args[i + 1]);
			} catch (Exception e) {
				said = e.toString();
			}
			boolean ok = said.equals(System.getenv("WANTED"));
			System.out.println(ok ? "ok " + args[i] + " " + args[i + 1]
				: "failed " + args[i] + " " + args[i + 1] + ": " + said);
			if (!ok)
				failed = 1;
		}
		System.exit(failed);
	}
}
