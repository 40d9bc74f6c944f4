"""The daemon with its admin listener on, scraped while it is measured.

What the scraper itself uses is on this program's clock; what the daemon does
for it, in its admin thread, its master and its workers' counting, is on the
daemon's.
"""
import http.client
import sys
import threading

from subjects import PLAIN, Policy, Spliced, free_port

EVERY_S = 1.0


class Scraper(threading.Thread):
    """Asks for /metrics each second as Prometheus would, on one connection."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self.port = port
        self.over = threading.Event()
        self.count = 0
        self.fault = None

    def run(self):
        c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            while not self.over.wait(EVERY_S):
                c.request("GET", "/metrics")
                r = c.getresponse()
                body = r.read()
                if r.status != 200 or b"\nspliced_" not in body:
                    raise http.client.HTTPException(f"status {r.status}")
                self.count += 1
        except (OSError, http.client.HTTPException) as e:
            if not self.over.is_set():
                self.fault = e
                print(f"/metrics: {e!r}", file=sys.stderr, flush=True)
        finally:
            c.close()

    def end(self):
        self.over.set()
        self.join(20)


class Scraped:
    """What is different of a subject: one option, and somebody who asks."""

    name = "spliced-admin"
    what = "the same with admin.http, scraped each second"
    udp = False
    scraper = None

    def file(self, name, text):
        if name == "spliced.conf":
            self.admin_port = free_port()
            before, socket, after = text.partition('socket = "";')
            if not socket:
                raise RuntimeError("no admin group in the configuration")
            text = (before + socket
                    + f' http = "127.0.0.1:{self.admin_port}";' + after)
        return super().file(name, text)

    def start(self):
        super().start()
        self.scraper = Scraper(self.admin_port)
        self.scraper.start()

    def alive(self):
        """Not scraped any more it would be something else."""
        return super().alive() and not self.scraper.fault

    def stop(self):
        if self.scraper:
            self.scraper.end()
        super().stop()


class ScrapedSpliced(Scraped, Spliced):
    works = tuple(w for w in PLAIN if w != "fairness")


class ScrapedPolicy(Scraped, Policy):
    pass


ALL = [ScrapedSpliced, ScrapedPolicy]
