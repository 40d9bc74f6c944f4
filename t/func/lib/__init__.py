"""What the functional tests share: the daemon, clients, origins, networks."""
