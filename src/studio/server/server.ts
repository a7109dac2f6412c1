/**
 * The studio's server: on the loopback interface alone, answers GET and HEAD alone, and serves what it was given and nothing else. No path of a request is
 * ever put together with one on the disk: what is served stands in tables made at the start.
 */
import { readdirSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { extname, join } from 'node:path';
import { UserError } from '../../config/index.ts';
import { bytesOf } from '../../formats/index.ts';
import type { Library } from '../api.ts';
import type { NcaSet } from './sets.ts';
import { type Source, sentenceOf } from './sources.ts';
import { principalPlane } from './zoo-map.ts';

/** What is served. */
export interface Served {
  readonly sources: readonly Source[];
  /** Looks again: a run may be finished by now, or a new one be there. */
  again?(): Promise<readonly Source[]>;
  /** Folder of the built page. */
  readonly page: string;
  /** Compiled kernels by build, the best first: paths of the files. */
  readonly kernels: Readonly<Record<string, string>>;
}

/** A server that runs. */
export interface RunningServer {
  readonly port: number;
  close(): Promise<void>;
}

interface Answer {
  readonly body: Uint8Array | string;
  readonly type: string;
  /** Another content security policy than the page's. */
  readonly policy?: string;
}

/** The page's own scripts, styles and workers; WebAssembly; pictures from here. Nothing inline, nothing from elsewhere. */
const POLICY = [
  "default-src 'none'",
  "script-src 'self' 'wasm-unsafe-eval'",
  "style-src 'self'",
  "img-src 'self' blob: data:",
  "connect-src 'self'",
  "worker-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');
/** A report of a run is a page of its own, and knows nothing of this one: an origin of its own, and no way to the network. */
const REPORT_POLICY =
  "sandbox allow-scripts allow-downloads; default-src 'none'; img-src data: blob:; style-src 'unsafe-inline'; script-src 'unsafe-inline' 'wasm-unsafe-eval'";

const HEADERS = {
  // The page is isolated from other origins, so that its threads may share memory.
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-embedder-policy': 'require-corp',
  'cross-origin-resource-policy': 'same-origin',
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cache-control': 'no-cache',
};

const TYPES: Record<string, string> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.wasm': 'application/wasm',
};
const typeOf = (path: string) => TYPES[extname(path)] ?? 'application/octet-stream';

/** Rows of weights that one request may ask for. */
const MOST_ROWS = 1024;

const json = (value: unknown): Answer => ({
  body: JSON.stringify(value),
  type: 'application/json; charset=utf-8',
});
const numbers = (values: Float32Array): Answer => ({
  body: bytesOf(values),
  type: 'application/octet-stream',
});

class NotFound extends Error {}
const missing = (): never => {
  throw new NotFound('nothing of that name is served here');
};

/** Tables of everything that is served, by the names that paths have. */
function tablesOf({ sources, page, kernels }: Omit<Served, 'again'>) {
  const files = new Map<string, string>(
    sources.flatMap(({ info, files }) =>
      Object.entries(files).map(
        ([name, path]) => [`/runs/${encodeURIComponent(info.id)}/${name}`, path] as const,
      ),
    ),
  );
  for (const name of readdirSync(page, { recursive: true }).map(String)) {
    if (extname(name) !== '') files.set(`/${name.replaceAll('\\', '/')}`, join(page, name));
  }
  const index = files.get('/index.html');
  if (index) files.set('/', index);
  for (const [build, path] of Object.entries(kernels)) files.set(`/kernels/${build}.wasm`, path);
  const library: Library = { sources: sources.map(({ info }) => info), builds: Object.keys(kernels) };
  return {
    sets: new Map(sources.flatMap(source => source.sets.map(set => [set.info.id, set] as const))),
    runs: new Map(sources.flatMap(source => (source.run ? [[source.info.id, source.run] as const] : []))),
    files,
    library,
  };
}

/** Answers by path. Every name in a path is looked up in a table. */
function router(served: Served) {
  let tables = tablesOf(served);
  const maps = new Map<string, Promise<Float32Array>>();
  const mapOf = ({ info, rows }: NcaSet) => {
    const known = maps.get(info.id) ?? principalPlane({ count: info.names.length, rows });
    maps.set(info.id, known);
    return known;
  };
  const whole = (text: string | undefined): number =>
    /^\d{1,9}$/.test(text ?? '') ? Number(text) : missing();

  return async (path: string): Promise<Answer> => {
    const file = tables.files.get(path);
    if (file) {
      const policy = path.endsWith('/report.html') ? REPORT_POLICY : undefined;
      return { body: await readFile(file), type: typeOf(file), policy };
    }
    const [, api, group, name, what, ...rest] = path.split('/').map(decodeURIComponent);
    if (api !== 'api') return missing();
    if (group === 'library' && name === undefined) {
      if (served.again) tables = tablesOf({ ...served, sources: await served.again() });
      return json(tables.library);
    }
    if (group === 'runs' && what === undefined) return json(tables.runs.get(name) ?? missing());
    const set = group === 'sets' ? (tables.sets.get(name) ?? missing()) : missing();
    if (what === undefined) return json(set.info);
    if (what === 'rows' && rest.length === 2) {
      const [first, count] = rest.map(whole);
      return count <= MOST_ROWS ? numbers(await set.rows(first, count)) : missing();
    }
    if (what === 'pictures' && rest.length === 1) {
      const { bytes, type } = await set.picture(whole(rest[0]));
      return { body: bytes, type };
    }
    return what === 'map' && rest.length === 0 ? numbers(await mapOf(set)) : missing();
  };
}

/** Starts to serve. @throws UserError when the port is taken */
export async function serve(served: Served, port = 0): Promise<RunningServer> {
  const answer = router(served);
  const server = createServer((request, response) => {
    respond(request, response, answer, (server.address() as AddressInfo).port).catch(error => {
      console.error(error);
      response.destroy();
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) =>
      reject(
        error.code === 'EADDRINUSE' || error.code === 'EACCES'
          ? new UserError(`option --port: expected a port that is free, found ${port}, which is not.`)
          : error,
      ),
    );
    server.listen(port, '127.0.0.1', resolve);
  });
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise<void>(resolve => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function respond(
  request: IncomingMessage,
  response: ServerResponse,
  answer: (path: string) => Promise<Answer>,
  port: number,
): Promise<void> {
  const refusal = refusalOf(request, port);
  if (refusal) {
    send(request, response, refusal.status, { body: `${refusal.text}\n`, type: 'text/plain; charset=utf-8' });
    return;
  }
  try {
    const path = (request.url ?? '/').split('?')[0];
    send(request, response, 200, await answer(path));
  } catch (error) {
    if (error instanceof NotFound || error instanceof URIError) {
      send(request, response, 404, json({ error: (error as Error).message }));
    } else if (error instanceof UserError) {
      send(request, response, 422, json({ error: sentenceOf(error) }));
    } else {
      console.error(error);
      send(request, response, 500, json({ error: 'The studio failed; its terminal says how.' }));
    }
  }
}

/** Why a request is not answered at all: another name for this machine (DNS rebinding), another site's page, anything that would change something. */
function refusalOf(
  { method, headers }: IncomingMessage,
  port: number,
): { readonly status: number; readonly text: string } | undefined {
  const own = ['127.0.0.1', 'localhost'].map(host => `${host}:${port}`);
  if (!own.includes(headers.host ?? '')) return { status: 403, text: `Ask for http://${own[0]}/.` };
  if (method !== 'GET' && method !== 'HEAD')
    return { status: 405, text: 'The studio shows; it takes nothing.' };
  const { origin } = headers;
  if (origin !== undefined && !own.includes(origin.replace(/^http:\/\//, '')))
    return { status: 403, text: 'The studio answers its own page alone.' };
  return undefined;
}

function send(request: IncomingMessage, response: ServerResponse, status: number, answer: Answer): void {
  const body = typeof answer.body === 'string' ? Buffer.from(answer.body) : answer.body;
  response.writeHead(status, {
    ...HEADERS,
    ...(status === 405 ? { allow: 'GET, HEAD' } : {}),
    'content-security-policy': answer.policy ?? POLICY,
    'content-type': answer.type,
    'content-length': body.byteLength,
  });
  response.end(request.method === 'HEAD' ? undefined : body);
}
