// Tunnels over one connection of HTTP/2, by Node's own client.  The argument
// is JSON: where the proxy is, whom to trust, and jobs, run in their order;
// what each came to is a line of JSON.
'use strict';
const crypto = require('crypto');
const fs = require('fs');
const http2 = require('http2');

const wanted = JSON.parse(process.argv[2]);

function open(session, target, headers = {}) {
	const s = session.request({':method': 'CONNECT', ':authority': target,
		...headers}, {endStream: false});
	s.status = new Promise((done, failed) => {
		s.on('response', (h) => done(h));
		s.on('error', failed);
	});
	s.closed_ = new Promise((done) => s.on('close', () => done(s.rstCode)));
	s.status.catch(() => {});
	return s;
}

async function granted(session, target, headers) {
	const s = open(session, target, headers);
	const status = (await s.status)[':status'];
	if (status !== 200)
		throw new Error(`status ${status}`);
	return s;
}

function digest(s) {
	const hash = crypto.createHash('sha256');
	let bytes = 0;
	return new Promise((done, failed) => {
		s.on('data', (d) => { hash.update(d); bytes += d.length; });
		s.on('end', () => done({bytes, sha256: hash.digest('hex')}));
		s.on('error', failed);
	});
}

function send(s, bytes) {
	const data = crypto.randomBytes(bytes);
	s.end(data);
	return crypto.createHash('sha256').update(data).digest('hex');
}

function first(s) {
	return new Promise((done, failed) => {
		s.once('data', done);
		s.once('error', failed);
	});
}

const jobs = {
	// What goes out comes back, on all of them at once.
	async echo(session, job) {
		const all = [];
		for (let i = 0; i < job.count; i++)
			all.push((async () => {
				const s = await granted(session, job.target);
				const got = digest(s);
				const sent = send(s, job.bytes);
				const g = await got;
				return g.sha256 === sent && g.bytes === job.bytes;
			})());
		return (await Promise.all(all)).filter((x) => x).length;
	},
	// The target tells the digest of what it got once it has all.
	async up(session, job) {
		const s = await granted(session, job.target);
		const parts = [];
		s.on('data', (d) => parts.push(d));
		const end = new Promise((done) => s.on('end', done));
		const sent = send(s, job.bytes);
		await end;
		return Buffer.concat(parts).toString() === sent;
	},
	async down(session, job) {
		const s = await granted(session, job.target);
		const got = await digest(s);
		s.end();
		return got;
	},
	// One tunnel is not read, another one is used beside it.
	async stalled(session, job) {
		const slow = await granted(session, job.target);
		slow.pause();
		const fast = await jobs.echo(session, {count: 3,
			bytes: job.bytes, target: job.echo});
		const rest = digest(slow);
		slow.resume();
		const got = await rest;
		slow.end();
		return [fast, got];
	},
	async status(session, job) {
		const s = open(session, job.target, job.headers);
		const h = await s.status;
		s.resume();
		s.end();
		return [h[':status'], h['proxy-authenticate'] || ''];
	},
	// Ended by the target's reset: with which code.
	async reset(session, job) {
		const s = await granted(session, job.target);
		s.on('error', () => {});
		s.resume();
		s.write('x');
		return s.closed_;
	},
	async cancel(session, job) {
		const s = await granted(session, job.target);
		s.write('x');
		await first(s);
		s.close(http2.constants.NGHTTP2_CANCEL);
		return s.closed_;
	},
	// Holds some open until a line comes, and uses them after it.
	async hold(session, job) {
		const all = [];
		for (let i = 0; i < job.count; i++)
			all.push(await granted(session, job.target));
		const away = new Promise((done) =>
			session.once('goaway', (code) => done(code)));
		console.log(JSON.stringify('held'));
		await new Promise((done) => process.stdin.once('data', done));
		const code = job.goaway ? await away : null;
		let good = 0;
		for (const s of all) {
			const back = first(s);
			s.write('after');
			good += (await back).toString() === 'after';
			s.end();
			await s.closed_;
		}
		return [good, code];
	},
};

async function main() {
	const session = http2.connect(wanted.proxy, {ca: fs.readFileSync(wanted.ca),
		maxSessionMemory: 1000});
	session.on('error', (e) => { console.error(e); });
	for (const job of wanted.jobs) {
		let result;
		try {
			result = await jobs[job.job](session, job);
		} catch (e) {
			result = `failed: ${e.message}`;
		}
		console.log(JSON.stringify(result));
	}
	if (!session.closed && !session.destroyed)
		await new Promise((done) => session.close(done));
	process.exit(0);
}

main();
