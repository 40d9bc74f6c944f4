// Fetches each URL through the proxy before it: CA PROXY URL PROXY URL ...
// Says "ok PROXY URL" where the answer is what stands in $WANTED.
package main

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"time"
)

func fetch(pool *x509.CertPool, proxy, target string) (string, error) {
	u, err := url.Parse(proxy)
	if err != nil {
		return "", err
	}
	c := http.Client{
		Timeout: 20 * time.Second,
		Transport: &http.Transport{
			Proxy:           http.ProxyURL(u),
			TLSClientConfig: &tls.Config{RootCAs: pool},
		},
	}
	r, err := c.Get(target)
	if err != nil {
		return "", err
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	return string(body), err
}

func main() {
	pool := x509.NewCertPool()
	pem, err := os.ReadFile(os.Args[1])
	if err != nil || !pool.AppendCertsFromPEM(pem) {
		fmt.Println("no certificates in", os.Args[1], err)
		os.Exit(1)
	}
	failed := 0
	for i := 2; i+1 < len(os.Args); i += 2 {
		proxy, target := os.Args[i], os.Args[i+1]
		body, err := fetch(pool, proxy, target)
		if err != nil || body != os.Getenv("WANTED") {
			fmt.Printf("failed %s %s: %v %q\n", proxy, target, err, body)
			failed = 1
		} else {
			fmt.Println("ok", proxy, target)
		}
	}
	os.Exit(failed)
}
