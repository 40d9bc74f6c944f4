/*
 * Does what the JSON of its argument says, a list of jobs, with the packages
 * socks and socks-proxy-agent.  Says "ok NAME" for each job that went well.
 */
'use strict';
const dgram = require('dgram');
const http = require('http');
const https = require('https');
const net = require('net');
const { SocksClient } = require('socks');
const { SocksProxyAgent } = require('socks-proxy-agent');

const PATIENCE_MS = 15000;

/* The options of a proxy by its URL: socks4://, socks5://. */
function proxy(url) {
	const u = new URL(url);

	return {
		host: u.hostname.replace(/^\[|\]$/g, ''), port: +u.port,
		type: u.protocol.startsWith('socks4') ? 4 : 5,
		userId: decodeURIComponent(u.username) || undefined,
		password: decodeURIComponent(u.password) || undefined,
	};
}

/* All that a stream brings up to its end. */
function text(stream) {
	return new Promise((done, failed) => {
		let got = '';

		stream.on('data', data => { got += data; });
		stream.on('end', () => done(got));
		stream.on('error', failed);
	});
}

function wants(got, wanted) {
	if (got !== wanted)
		throw new Error(`got ${JSON.stringify(got)}`);
}

/* The event of a client that has been asked to go. */
function event(client, name) {
	return new Promise((done, failed) => {
		client.once(name, done);
		client.once('error', failed);
	});
}

const kinds = {
	/* A page through an agent of http and https. */
	async agent(job) {
		const agent = new SocksProxyAgent(job.proxy);
		const get = job.url.startsWith('https') ? https.get : http.get;
		const response = await new Promise((done, failed) =>
			get(job.url, { agent }, done).on('error', failed));

		wants(await text(response), job.wanted);
	},

	/* A connection through one proxy or a chain of them. */
	async connect(job) {
		const options = {
			command: 'connect', timeout: PATIENCE_MS,
			destination: { host: job.host, port: job.port },
		};
		const { socket } = job.proxies.length > 1 ?
			await SocksClient.createConnectionChain({
				...options, proxies: job.proxies.map(proxy),
			}) :
			await SocksClient.createConnection({
				...options, proxy: proxy(job.proxies[0]),
			});

		socket.end('GET / HTTP/1.0\r\n\r\n');
		wants((await text(socket)).split('\r\n\r\n')[1], job.wanted);
	},

	/* One that must not be. */
	async refused(job) {
		try {
			await kinds.connect(job);
		} catch (error) {
			if (!error.message.includes(job.why))
				throw error;
			return;
		}
		throw new Error('it is connected');
	},

	/* Somebody who comes in, by both replies of a BIND. */
	async bind(job) {
		const client = new SocksClient({
			command: 'bind', proxy: proxy(job.proxy),
			timeout: PATIENCE_MS,
			destination: { host: job.host, port: job.port },
		});

		client.connect();
		const bound = await event(client, 'bound');
		const peer = net.connect(bound.remoteHost);
		const { socket, remoteHost } = await event(client,
			'established');

		wants(remoteHost.host, peer.localAddress);
		wants(remoteHost.port, peer.localPort);
		peer.end('from the peer');
		socket.end('from the client');
		wants((await Promise.all([text(socket), text(peer)])).join(),
			'from the peer,from the client');
	},

	/* Datagrams to one who echoes, and back. */
	async udp(job) {
		const { host, port } = proxy(job.proxy);
		const client = new SocksClient({
			command: 'associate', proxy: proxy(job.proxy),
			timeout: PATIENCE_MS,
			destination: { host: '0.0.0.0', port: 0 },
		});
		const socket = dgram.createSocket(net.isIPv6(host) ? 'udp6' :
			'udp4');

		client.connect();
		const relay = (await event(client, 'established'));
		for (const data of ['one', 'two', 'x'.repeat(1400)]) {
			const answer = event(socket, 'message');

			socket.send(SocksClient.createUDPFrame({
				remoteHost: { host: job.host, port: job.port },
				data: Buffer.from(data),
			}), relay.remoteHost.port, relay.remoteHost.host);
			const frame = SocksClient.parseUDPFrame(await answer);
			wants(frame.data.toString(), data);
			wants(frame.remoteHost.port, job.port);
		}
		socket.close();
		relay.socket.destroy();
	},
};

async function main(jobs) {
	let failed = 0;

	for (const job of jobs) {
		let clock;
		const late = new Promise((_, no) => {
			clock = setTimeout(() => no(new Error('too late')),
				PATIENCE_MS);
		});

		try {
			await Promise.race([kinds[job.kind](job), late]);
			console.log(`ok ${job.name}`);
		} catch (error) {
			console.log(`failed ${job.name}: ${error.message}`);
			failed = 1;
		}
		clearTimeout(clock);
	}
	process.exit(failed);
}

main(JSON.parse(process.argv[2]));
