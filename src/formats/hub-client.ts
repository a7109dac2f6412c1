/**
 * The Hugging Face hub over HTTP: commits, files with the hashes the hub states for them, and their bytes by ranges. Every request goes
 * through `send`: it follows redirects itself, so that a token goes to the hub's own host and nowhere else, and waits where the hub asks to.
 */
import { isIP } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { HubApiError, RepoDesignation } from '@huggingface/hub';
import { refuse, UserError } from '../config/index.ts';

export interface HubOptions {
  /** Default: HF_ENDPOINT, or https://huggingface.co. */
  readonly hubUrl?: string;
  readonly signal?: AbortSignal;
  /** Told when the hub asks to wait for so many seconds. */
  readonly onWait?: (seconds: number) => void;
  /** Waits; tests wait for nothing. */
  readonly pause?: (seconds: number) => Promise<void>;
}

/** `owner/name` of a model, or `datasets/owner/name`. */
export type RepoName = string;

/** A file of a repository at a commit. */
export interface HubFile {
  readonly path: string;
  readonly size: number;
  /** SHA-256 of the content (of files in large-file storage and xet), */
  readonly sha256: string | undefined;
  /** or its SHA-1 as git counts it: with `blob SIZE\0` in front. */
  readonly gitSha1: string | undefined;
}

const HUB = 'https://huggingface.co';
const REDIRECTS = new Set([301, 302, 303, 307, 308]);
const MOST_REDIRECTS = 10;
const TRIES = 5;
const MOST_WAIT = 600;
const MOST_ANSWER = 64 * 2 ** 20;
const MOST_FILES = 250_000;

const isLoopback = (host: string) => /^(localhost|127(\.\d+){3}|\[::1\])$/.test(host);

/** Hosts that only a machine's own network has. A public hub has no business sending us there. */
function isPrivate(host: string): boolean {
  const bare = host.replace(/^\[|\]$/g, '');
  if (isIP(bare) === 4) return /^(0|10|127|169\.254|192\.168|172\.(1[6-9]|2\d|3[01]))\./.test(bare);
  if (isIP(bare) === 6) return /^(::|f[cd]|fe[89ab])/i.test(bare);
  return !host.includes('.') || /\.(local|internal|localhost|lan|home\.arpa)$/.test(host);
}

/** The hub's address, from an option or HF_ENDPOINT, and the token of HF_TOKEN where it may be sent. */
function hubOf(given: string | undefined): { url: string; origin: string; token: string | undefined } {
  const own = process.env.HF_ENDPOINT || HUB;
  const [text, where] =
    given === undefined ? [own, 'environment variable HF_ENDPOINT'] : [given, 'option --hub'];
  const parsed = (address: string) => {
    try {
      const url = new URL(address);
      if (url.protocol === 'https:' || url.protocol === 'http:') return url;
    } catch {}
    return refuse(where, 'an address such as https://huggingface.co', `"${address}"`);
  };
  const { origin, hostname, protocol, pathname } = parsed(text);
  const token = process.env.HF_TOKEN?.trim() || undefined;
  if (token !== undefined && !/^[\x21-\x7e]+$/.test(token))
    refuse('environment variable HF_TOKEN', 'a token without spaces', 'something else');
  // A token is for the hub of the user's environment, not for whichever a command line names, and never goes in the clear.
  const trusted = origin === parsed(own).origin && (protocol === 'https:' || isLoopback(hostname));
  return { url: `${origin}${pathname.replace(/\/+$/, '')}`, origin, token: trusted ? token : undefined };
}

/** Seconds that an answer asks to wait: Retry-After, or the `t` of the hub's RateLimit header. */
function waitOf(response: Response, attempt: number): number {
  const text =
    response.headers.get('retry-after') ?? /\bt=(\d+)/.exec(response.headers.get('ratelimit') ?? '')?.[1];
  const seconds = text === undefined || text === null ? Number.NaN : Number(text);
  const asked = Number.isFinite(seconds) && seconds >= 0 ? seconds : 2 ** attempt;
  return Math.min(MOST_WAIT, asked);
}

/** What failed between here and the hub, below HTTP. */
const isConnection = (error: unknown): boolean =>
  error instanceof Error &&
  ((error as { cause?: unknown }).cause !== undefined || /^(fetch failed|terminated)$/.test(error.message));

/** An answer of the hub's interface, refused when it grows beyond all that the hub answers. */
function bounded(response: Response, where: string): Response {
  let came = 0;
  const counter = new TransformStream<Uint8Array, Uint8Array>({
    transform(chunk, controller) {
      came += chunk.length;
      if (came > MOST_ANSWER) refuse(where, `an answer of at most ${MOST_ANSWER} bytes`, 'a longer one');
      controller.enqueue(chunk);
    },
  });
  const { status, statusText, headers } = response;
  return new Response(response.body?.pipeThrough(counter) ?? null, { status, statusText, headers });
}

export class Hub {
  private readonly hub: ReturnType<typeof hubOf>;

  constructor(private readonly options: HubOptions = {}) {
    this.hub = hubOf(options.hubUrl);
  }

  private async pause(seconds: number): Promise<void> {
    if (seconds >= 1) this.options.onWait?.(seconds);
    const { pause, signal } = this.options;
    await (pause ? pause(seconds) : sleep(1000 * seconds, undefined, { signal }));
  }

  /** One request with its redirects; each hop gets the token or not by its own address. */
  private async hop(address: string, init: RequestInit): Promise<Response> {
    const { origin, token } = this.hub;
    let url = new URL(address);
    let { method, body } = init;
    for (let count = 0; count <= MOST_REDIRECTS; count++) {
      const headers = new Headers(init.headers);
      headers.delete('authorization');
      if (token !== undefined && url.origin === origin) headers.set('authorization', `Bearer ${token}`);
      const response = await fetch(url, {
        ...init,
        method,
        body,
        headers,
        redirect: 'manual',
        signal: this.options.signal,
      });
      const place = response.headers.get('location');
      if (!REDIRECTS.has(response.status) || place === null) return response;
      await response.body?.cancel();
      const next = new URL(place, url);
      if (next.protocol !== 'https:' && next.protocol !== url.protocol)
        refuse(url.host, 'a redirect to https', `one to ${next.protocol}//${next.host}`);
      if (isPrivate(next.hostname) && !isPrivate(url.hostname))
        refuse(url.host, 'a redirect to a public host', `one to ${next.host}`);
      if (response.status < 307 && method === 'POST') [method, body] = ['GET', undefined];
      url = next;
    }
    return refuse(url.host, `at most ${MOST_REDIRECTS} redirects`, 'more');
  }

  /** Sends a request: waits and asks again where the hub says that it is busy, and once more where a signed address has expired. */
  readonly send = async (input: string | URL | Request, init: RequestInit = {}): Promise<Response> => {
    const address = input instanceof Request ? input.url : String(input);
    for (let attempt = 0; ; attempt++) {
      const response = await this.hop(address, init);
      const elsewhere = response.url !== '' && new URL(response.url).origin !== this.hub.origin;
      const again =
        response.status === 429 || response.status >= 500 || (response.status === 403 && elsewhere);
      if (!again || attempt === TRIES - 1) return response;
      await response.body?.cancel();
      await this.pause(waitOf(response, attempt));
    }
  };

  /** Calls the hub's library, whose answers are of bounded length; one it cannot make sense of is refused. */
  private async ask<A>(
    where: string,
    call: (common: { hubUrl: string; fetch: typeof fetch }) => Promise<A>,
  ): Promise<A> {
    const limited = async (input: string | URL | Request, init?: RequestInit) =>
      bounded(await this.send(input, init), where);
    try {
      return await call({ hubUrl: this.hub.url, fetch: limited as typeof fetch });
    } catch (error) {
      if (isConnection(error) || !(error instanceof TypeError || error instanceof SyntaxError)) throw error;
      return refuse(where, 'an answer of the Hugging Face hub', 'one of another form');
    }
  }

  /** The commit that a branch, tag or commit of a repository means now. */
  async commitOf(repo: RepoName, revision: string): Promise<string> {
    if (/^[0-9a-f]{40}$/.test(revision)) return revision;
    const { datasetInfo, modelInfo } = await import('@huggingface/hub');
    const { sha } = await this.ask(repo, common => {
      const name = repo.replace(/^datasets\//, '');
      const wanted = { name, revision, additionalFields: ['sha' as const], ...common };
      return name === repo ? modelInfo(wanted) : datasetInfo(wanted);
    });
    return /^[0-9a-f]{40}$/.test(sha ?? '') ? sha : refuse(repo, 'a commit of the hub', 'none');
  }

  private fileOf({
    path,
    size,
    oid,
    lfs,
  }: {
    path: string;
    size: number;
    oid?: string;
    lfs?: { oid: string; size: number };
  }): HubFile {
    const length = lfs?.size ?? size;
    if (!Number.isSafeInteger(length) || length < 0) refuse(path, 'a size', String(length));
    return {
      path,
      size: length,
      sha256: /^[0-9a-f]{64}$/.test(lfs?.oid ?? '') ? lfs?.oid : undefined,
      gitSha1: lfs === undefined && /^[0-9a-f]{40}$/.test(oid ?? '') ? oid : undefined,
    };
  }

  /** The files of these paths that the repository has at a commit. */
  async filesOf(repo: RepoName, commit: string, paths: readonly string[]): Promise<HubFile[]> {
    const { pathsInfo } = await import('@huggingface/hub');
    const found = await this.ask(repo, common =>
      pathsInfo({ repo: repo as RepoDesignation, revision: commit, paths: [...paths], ...common }),
    );
    return found.filter(({ type }) => type === 'file').map(info => this.fileOf(info));
  }

  /** All files below a folder ('' for all). */
  async list(repo: RepoName, commit: string, folder: string): Promise<HubFile[]> {
    const { listFiles } = await import('@huggingface/hub');
    const path = folder === '' ? undefined : folder.split('/').map(encodeURIComponent).join('/');
    return this.ask(repo, async common => {
      const files: HubFile[] = [];
      const wanted = { repo: repo as RepoDesignation, revision: commit, path, recursive: true, ...common };
      for await (const entry of listFiles(wanted)) {
        if (files.length === MOST_FILES) refuse(repo, `at most ${MOST_FILES} files`, 'more');
        if (entry.type === 'file') files.push(this.fileOf(entry));
      }
      return files;
    });
  }

  /** The bytes `begin` to `end` of a file, as they come. */
  async *read(
    repo: RepoName,
    commit: string,
    file: HubFile,
    begin: number,
    end: number,
  ): AsyncGenerator<Uint8Array> {
    const where = `${repo}/${file.path}`;
    const path = file.path.split('/').map(encodeURIComponent).join('/');
    const response = await this.send(`${this.hub.url}/${repo}/resolve/${commit}/${path}`, {
      headers: { range: `bytes=${begin}-${end - 1}`, 'accept-encoding': 'identity' },
    });
    if (!response.ok) throw Object.assign(new Error('refused'), { statusCode: response.status });
    const range = response.headers.get('content-range') ?? '';
    const [, from, to, whole] = /^bytes (\d+)-(\d+)\/(\d+|\*)$/.exec(range) ?? [];
    const asked =
      Number(from) === begin && Number(to) === end - 1 && (whole === '*' || Number(whole) === file.size);
    if (!(response.status === 200 && range === '' && begin === 0 && end === file.size) && !asked) {
      await response.body?.cancel();
      refuse(where, `bytes ${begin} to ${end} of ${file.size} (Content-Range)`, range || 'an answer without');
    }
    let came = 0;
    for await (const chunk of response.body ?? []) {
      came += (chunk as Uint8Array).length;
      if (came > end - begin) refuse(where, `${end - begin} bytes`, 'more');
      yield chunk as Uint8Array;
    }
    if (came < end - begin)
      throw Object.assign(new Error('broken off'), { cause: { code: `${came} of ${end - begin} bytes` } });
  }
}

/** What failed between here and the hub, as a sentence; errors that are bugs are thrown on. */
export function hubFailure(where: string, error: unknown): never {
  if (error instanceof UserError || !(error instanceof Error)) throw error;
  if (error.name === 'AbortError') throw new UserError('Stopped; the same command goes on from here.');
  const status = (error as HubApiError).statusCode;
  if (status === 401 || status === 403 || status === 404) {
    const hint =
      status === 404 || process.env.HF_TOKEN
        ? 'The repository is a setting: name another one.'
        : 'One that is private or gated needs HF_TOKEN in the environment.';
    return refuse(where, 'a public repository, revision and file', `the answer ${status} of the hub`, {
      hint,
    });
  }
  if (status !== undefined)
    return refuse(where, 'the file', `the answer ${status} of the hub`, { hint: 'Try again later.' });
  if (/^malformed/.test(error.message))
    return refuse(where, 'an answer of the Hugging Face hub', 'one of another form');
  if (isConnection(error)) {
    const cause = (error as { cause?: { code?: string } }).cause?.code ?? error.message;
    return refuse(where, 'an answer of the Hugging Face hub', `no connection (${cause})`, {
      hint: 'Connect to the network; what has come stays, and the transfer goes on from there.',
    });
  }
  throw error;
}
