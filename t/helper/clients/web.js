/*
 * Fetches pages, as the JSON of its argument says, by agents and dispatchers
 * of npm that go through a proxy.  Says "ok NAME" for each that went well.
 */
'use strict';
const http = require('http');
const https = require('https');
const axios = require('axios');
const { ProxyAgent: Dispatcher, request } = require('undici');
const { HttpProxyAgent } = require('http-proxy-agent');
const { HttpsProxyAgent } = require('https-proxy-agent');
const { ProxyAgent } = require('proxy-agent');
const { SocksProxyAgent } = require('socks-proxy-agent');

/* By an agent of http and https. */
function fetched(url, agent) {
	const get = url.startsWith('https') ? https.get : http.get;

	return new Promise((done, failed) => {
		get(url, { agent }, response => {
			let got = '';

			response.on('data', more => { got += more; });
			response.on('end', () => {
				agent.destroy();
				done(got);
			});
			response.on('error', failed);
		}).on('error', failed);
	});
}

async function dispatched(url, dispatcher) {
	const { body } = await request(url, { dispatcher });
	const got = await body.text();

	await dispatcher.close();
	return got;
}

const kinds = {
	'http-proxy-agent': job =>
		fetched(job.url, new HttpProxyAgent(job.proxy)),
	'https-proxy-agent': job =>
		fetched(job.url, new HttpsProxyAgent(job.proxy)),
	'proxy-agent': job => {
		process.env.ALL_PROXY = job.proxy;
		return fetched(job.url, new ProxyAgent());
	},
	'undici': job => dispatched(job.url, new Dispatcher(job.proxy)),
	'fetch-socks': async job => {
		const { socksDispatcher } = await import('fetch-socks');
		const u = new URL(job.proxy);

		return dispatched(job.url, socksDispatcher({
			type: 5, host: u.hostname, port: +u.port,
		}));
	},
	'axios': async job => {
		const httpAgent = new SocksProxyAgent(job.proxy);
		const { data } = await axios.get(job.url, {
			httpAgent, proxy: false, responseType: 'text',
		});

		return data;
	},
};

async function main(jobs) {
	let failed = 0;

	for (const job of jobs) {
		try {
			const got = await kinds[job.kind](job);

			if (got !== job.wanted)
				throw new Error(`got ${JSON.stringify(got)}`);
			console.log(`ok ${job.name}`);
		} catch (error) {
			console.log(`failed ${job.name}: ${error.message}`);
			failed = 1;
		}
	}
	process.exit(failed);
}

main(JSON.parse(process.argv[2]));
