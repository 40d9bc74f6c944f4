#!/usr/bin/perl
# Does one thing with IO::Socket::Socks, by its first argument, through the
# proxy that the next three name (version, address, port).
#
#   connect V A P [USER PASSWORD] -- HOST PORT [V A P HOST PORT]...
#   bind 5 A P HOST PORT   (its accept() takes every reply for one of SOCKS5)
#   udp 5 A P HOST PORT UDPHOST UDPPORT
#
# connect: writes what it sends and gets; each further hop is asked for by the
# connection so far.  bind: writes where the proxy listens, and then what
# comes in, which it answers.  udp: sends its input as a datagram to HOST and
# writes the answer; UDPHOST and UDPPORT go into the request.
use strict;
use warnings;
use IO::Socket::Socks qw(:DEFAULT);
use Socket qw(inet_aton sockaddr_in);

$| = 1;

my $what = shift;
my ($version, $address, $port) = splice @ARGV, 0, 3;
my %proxy = (ProxyAddr => $address, ProxyPort => $port,
	SocksVersion => $version, SocksResolve => 1, Timeout => 20);

sub fail {
	print STDERR "$_[0]: $SOCKS_ERROR\n";
	exit 1;
}

sub through {
	if ($ARGV[0] ne '--') {
		my ($user, $password) = splice @ARGV, 0, 2;

		%proxy = (%proxy, AuthType => 'userpass', Username => $user,
			Password => $password);
	}
	my (undef, $host, $to) = splice @ARGV, 0, 3;
	my $socket = IO::Socket::Socks->new(%proxy, ConnectAddr => $host,
		ConnectPort => $to) or fail('connect');

	while (@ARGV) {
		my ($v, $h, $p) = splice @ARGV, 0, 3;

		$socket->command(SocksVersion => $v, ConnectAddr => $h,
			ConnectPort => $p) or fail('command');
	}
	$socket->syswrite("GET / HTTP/1.0\r\n\r\n");
	print while <$socket>;
}

sub listening {
	my ($host, $from) = @ARGV;
	my $socket = IO::Socket::Socks->new(%proxy, BindAddr => $host,
		BindPort => $from) or fail('bind');

	print join(' ', ($socket->dst())[0, 1]), "\n";
	$socket->accept() or fail('accept');
	print join(' ', ($socket->dst())[0, 1]), "\n";
	$socket->syswrite("from the client\n");
	print while <$socket>;
}

sub datagram {
	my ($host, $to, $udp_host, $udp_port) = @ARGV;
	my $socket = IO::Socket::Socks->new(%proxy, UdpAddr => $udp_host,
		UdpPort => $udp_port) or fail('udp');
	my $address = $host =~ /^[0-9.]+$/ ?
		sockaddr_in($to, inet_aton($host)) : [$host, $to];
	my $sent = do { local $/; <STDIN> };
	my $got;

	$socket->send($sent, 0, $address) or fail('send');
	defined $socket->recv($got, 65536) or fail('recv');
	print $got;
}

{ connect => \&through, bind => \&listening, udp => \&datagram }->{$what}->();
