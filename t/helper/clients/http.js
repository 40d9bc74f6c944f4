/*
 * Fetches pages through an HTTP proxy, as the JSON of its argument says, with
 * axios, undici and https-proxy-agent.  Says "ok NAME" for each that went well.
 */
'use strict';
const http = require('http');
const axios = require('axios');
const { ProxyAgent, request } = require('undici');
const { HttpsProxyAgent } = require('https-proxy-agent');

const TIMES = 3; /* over one connection, where the package can */

/* By requests in absolute-form. */
async function axiosTimes(job) {
	const u = new URL(job.proxy);
	const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
	const proxy = { host: u.hostname, port: +u.port, protocol: 'http' };

	if (u.username) {
		proxy.auth = {
			username: decodeURIComponent(u.username),
			password: decodeURIComponent(u.password),
		};
	}
	for (let i = 0; i < TIMES; i++) {
		const { data } = await axios.get(job.url, {
			proxy, httpAgent: agent, responseType: 'text',
		});

		if (data !== job.wanted)
			throw new Error(`got ${JSON.stringify(data)}`);
	}
	agent.destroy();
}

/* By CONNECT. */
async function undiciTimes(job) {
	const u = new URL(job.proxy);
	const options = { uri: u.origin };

	if (u.username) {
		const name = decodeURIComponent(u.username);
		const password = decodeURIComponent(u.password);
		const word = Buffer.from(`${name}:${password}`);

		options.token = `Basic ${word.toString('base64')}`;
	}
	const dispatcher = new ProxyAgent(options);

	for (let i = 0; i < TIMES; i++) {
		const { body } = await request(job.url, { dispatcher });
		const data = await body.text();

		if (data !== job.wanted)
			throw new Error(`got ${JSON.stringify(data)}`);
	}
	await dispatcher.close();
}

/* By CONNECT, for an agent of Node's own. */
async function agentTimes(job) {
	const agent = new HttpsProxyAgent(job.proxy);

	for (let i = 0; i < TIMES; i++) {
		const data = await new Promise((done, failed) => {
			http.get(job.url, { agent }, response => {
				let got = '';

				response.on('data', more => { got += more; });
				response.on('end', () => done(got));
				response.on('error', failed);
			}).on('error', failed);
		});

		if (data !== job.wanted)
			throw new Error(`got ${JSON.stringify(data)}`);
	}
	agent.destroy();
}

const kinds = {
	'axios': axiosTimes, 'undici': undiciTimes, 'proxy-agent': agentTimes,
};

async function main(jobs) {
	let failed = 0;

	for (const job of jobs) {
		try {
			await kinds[job.kind](job);
			console.log(`ok ${job.name}`);
		} catch (error) {
			console.log(`failed ${job.name}: ${error.message}`);
			failed = 1;
		}
	}
	process.exit(failed);
}

main(JSON.parse(process.argv[2]));
