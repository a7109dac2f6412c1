/**
 * A stand-in for the Hugging Face hub on loopback, by its real protocol: the interface answers commits, trees and path infos; `resolve` answers
 * small files itself and sends large ones (LFS, xet) to a second host under a signed address; private repositories want a token; what is
 * asked too often waits. Everything that is asked is noted.
 */
import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface StandInFile {
  bytes: Buffer;
  /** Kept in large-file storage, which redirects to the other host; else in git. */
  lfs?: boolean;
  /** What the hub states instead of the true SHA-256. */
  statedSha256?: string;
}

export interface StandInRepo {
  /** Commit by revision. */
  commits: Record<string, string>;
  files: Map<string, StandInFile>;
  token?: string;
}

const git = (bytes: Buffer) =>
  createHash('sha1').update(`blob ${bytes.length}\0`).update(bytes).digest('hex');
const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');

export class StandInHub {
  readonly repos = new Map<string, StandInRepo>();
  /** `METHOD path range`, of the hub and of the other host (with `cdn ` in front). */
  readonly asked: string[] = [];
  /** Authorization headers that the hub and the other host got. */
  readonly tokens: { host: 'hub' | 'cdn'; token: string | undefined }[] = [];
  /** Answers 429 to so many requests of the hub first. */
  busy = 0;
  /** Requests after which connections break. */
  patience = Number.POSITIVE_INFINITY;
  /** Bytes of a body after which the other host breaks off, once for each entry. */
  breaks: number[] = [];
  /** Answers of the other host that replace the usual. */
  oddity: 'no-range' | 'whole' | 'expired-once' | 'other-etag' | undefined;
  url = '';
  private servers: Server[] = [];

  async start(): Promise<void> {
    const listen = (answer: (request: IncomingMessage, response: ServerResponse) => void) =>
      new Promise<string>(done => {
        const server = createServer(answer);
        this.servers.push(server);
        server.listen(0, '127.0.0.1', () =>
          done(`http://127.0.0.1:${(server.address() as AddressInfo).port}`),
        );
      });
    const cdn = await listen((request, response) => this.cdn(request, response));
    this.url = await listen((request, response) => this.hub(request, response, cdn));
  }

  stop(): void {
    for (const server of this.servers) {
      server.closeAllConnections();
      server.close();
    }
  }

  private json(response: ServerResponse, status: number, body: unknown, headers = {}) {
    response.writeHead(status, { 'content-type': 'application/json', ...headers });
    response.end(JSON.stringify(body));
  }

  private hub(request: IncomingMessage, response: ServerResponse, cdn: string): unknown {
    const path = decodeURIComponent((request.url ?? '').replace(/\?.*/, ''));
    this.asked.push(`${request.method} ${path} ${request.headers.range ?? ''}`.trim());
    this.tokens.push({ host: 'hub', token: request.headers.authorization });
    if (this.patience-- <= 0) return request.socket.destroy();
    if (this.busy > 0) {
      this.busy--;
      return this.json(response, 429, { error: 'Too many requests' }, { ratelimit: '"api";r=0;t=7' });
    }
    const [, name, rest] = /^\/(?:api\/models\/|api\/)?((?:datasets\/)?[^/]+\/[^/]+)\/(.*)$/.exec(path) ?? [];
    const repo = this.repos.get(name ?? '');
    const allowed = repo && (!repo.token || request.headers.authorization === `Bearer ${repo.token}`);
    // The hub does not say whether a private repository is there.
    if (!allowed) return this.json(response, 401, { error: 'Invalid username or password.' });
    const [what, revision, ...parts] = rest.split('/');
    const commit = repo.commits[revision] ?? Object.values(repo.commits).find(one => one === revision);
    if (!commit) return this.json(response, 404, { error: 'Revision not found' });
    const infoOf = ([path, { bytes, lfs, statedSha256 }]: [string, StandInFile]) => ({
      type: 'file',
      path,
      size: bytes.length,
      oid: git(bytes),
      ...(lfs && {
        lfs: { oid: statedSha256 ?? sha256(bytes), size: bytes.length, pointerSize: 134 },
        xetHash: 'x',
      }),
    });
    if (path.startsWith('/api/')) {
      if (what === 'revision')
        return this.json(response, 200, { _id: '1', id: name, sha: commit, lastModified: '2026-01-01' });
      if (what === 'tree') {
        const below = parts.length > 0 ? `${parts.join('/')}/` : '';
        const found = [...repo.files].filter(([file]) => file.startsWith(below)).map(infoOf);
        return this.json(response, 200, [
          { type: 'directory', path: 'a-folder', oid: '0', size: 0 },
          ...found,
        ]);
      }
      let body = '';
      request.on('data', chunk => {
        body += chunk;
      });
      request.on('end', () => {
        const { paths } = JSON.parse(body) as { paths: string[] };
        this.json(response, 200, [...repo.files].filter(([file]) => paths.includes(file)).map(infoOf));
      });
      return request;
    }
    const file = repo.files.get(parts.join('/'));
    if (!file)
      return this.json(response, 404, { error: 'Entry not found' }, { 'x-error-code': 'EntryNotFound' });
    if (!file.lfs) return this.bytes(request, response, file.bytes, `"${git(file.bytes)}"`, 'hub');
    response.writeHead(302, {
      location: `${cdn}/${name}/${parts.join('/')}?Signature=abc`,
      'x-linked-etag': `"${sha256(file.bytes)}"`,
      'x-xet-hash': 'x',
    });
    return response.end();
  }

  private cdn(request: IncomingMessage, response: ServerResponse): unknown {
    this.asked.push(`cdn ${request.method} ${request.headers.range ?? ''}`.trim());
    this.tokens.push({ host: 'cdn', token: request.headers.authorization });
    if (this.patience-- <= 0) return request.socket.destroy();
    const [, name, path] = /^\/((?:datasets\/)?[^/]+\/[^/]+)\/([^?]*)/.exec(request.url ?? '') ?? [];
    const { bytes } = this.repos.get(name ?? '')!.files.get(path!)!;
    if (this.oddity === 'expired-once') {
      this.oddity = undefined;
      response.writeHead(403);
      return response.end('<Error>Request has expired</Error>');
    }
    // As a CDN does, the tag is a hash of its own.
    return this.bytes(request, response, bytes, `"${'0'.repeat(64)}"`, 'cdn', this.oddity);
  }

  private bytes(
    request: IncomingMessage,
    response: ServerResponse,
    bytes: Buffer,
    etag: string,
    host: 'hub' | 'cdn',
    oddity?: StandInHub['oddity'],
  ): unknown {
    const [, from, to] = /bytes=(\d+)-(\d+)/.exec(request.headers.range ?? '') ?? [];
    const [begin, end] = oddity === 'whole' ? [0, bytes.length] : [Number(from), Number(to) + 1];
    const body = bytes.subarray(begin, end);
    response.writeHead(oddity === 'whole' ? 200 : 206, {
      etag,
      'content-length': body.length,
      ...(oddity === undefined && { 'content-range': `bytes ${begin}-${end - 1}/${bytes.length}` }),
    });
    const most = host === 'cdn' ? this.breaks.shift() : undefined;
    if (most === undefined) return response.end(body);
    return response.write(body.subarray(0, most), () => setTimeout(() => request.socket.destroy(), 20));
  }
}
