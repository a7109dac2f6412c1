/** A real browser for tests: Debian's Chromium without a window, or what CHROMIUM names. What it says on its console is kept, for nothing may go wrong there unseen. */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { type Browser, chromium, type Locator, type Page } from 'playwright-core';
import sharp from 'sharp';
import * as assert from 'uvu/assert';

const root = fileURLToPath(new URL('../..', import.meta.url));
const LAUNCHER = fileURLToPath(new URL('../../src/cli/weightloom.mjs', import.meta.url));

/** Starts the browser. Graphs are drawn by WebGL, here on the processor. */
export function openBrowser(flags: readonly string[] = []): Promise<Browser> {
  const executablePath = process.env.CHROMIUM ?? '/usr/bin/chromium';
  if (!existsSync(executablePath))
    throw new Error(`no browser at ${executablePath}: install Chromium, or name one by CHROMIUM`);
  return chromium.launch({
    executablePath,
    args: ['--no-sandbox', '--enable-unsafe-swiftshader', '--ignore-gpu-blocklist', ...flags],
  });
}

/** A page, and everything that went wrong on it. */
export interface Watched {
  readonly page: Page;
  readonly faults: string[];
}

/** Opens a page. Errors, failed requests and warnings are faults; what the graphics driver remarks about itself is none. */
export async function openPage(
  browser: Browser,
  options: Parameters<Browser['newPage']>[0] = { viewport: { width: 1280, height: 900 } },
): Promise<Watched> {
  const page = await browser.newPage(options);
  const faults: string[] = [];
  page.on('console', message => {
    if (['error', 'warning'].includes(message.type()) && !message.text().includes('GL Driver Message'))
      faults.push(message.text());
  });
  page.on('pageerror', error => faults.push(error.message));
  page.on('requestfailed', request => {
    // Leaving a view gives up what it still waits for.
    if (request.failure()?.errorText !== 'net::ERR_ABORTED') faults.push(`${request.url()} failed`);
  });
  return { page, faults };
}

/** A command line in a process of its own. @returns what it printed */
export function command(
  words: readonly string[],
  { env = {}, cwd = root }: { env?: Record<string, string>; cwd?: string } = {},
): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [LAUNCHER, ...words], { cwd, env: { ...process.env, ...env } });
    let said = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', part => (said += part));
    child.on('close', code => (code === 0 ? resolve(said) : reject(new Error(said))));
  });
}

/** A studio as a user starts it. */
export interface StartedStudio {
  readonly url: string;
  /** What it has said so far. */
  said(): string;
  /** Ctrl-C. @returns its exit code */
  stop(): Promise<number | null>;
}

/** `weightloom studio` in a folder. */
export function startStudio(
  words: readonly string[],
  { env = {}, cwd = root }: { env?: Record<string, string>; cwd?: string } = {},
): Promise<StartedStudio> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [LAUNCHER, 'studio', ...words], {
      cwd,
      env: { ...process.env, ...env },
    });
    let text = '';
    const ended = new Promise<number | null>(done => child.on('close', done));
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', part => {
        text += part;
        const url = /http:\/\/127\.0\.0\.1:\d+\//.exec(text)?.[0];
        if (!url) return;
        resolve({
          url,
          said: () => text,
          stop: () => {
            child.kill('SIGINT');
            return ended;
          },
        });
      });
    }
    child.on('close', () => reject(new Error(text)));
  });
}

/** The pixels of a canvas on the page, [size, size, 3] bytes. */
export async function pixelsOf(canvas: Locator): Promise<Uint8Array> {
  const rgba = await canvas.evaluate(element => {
    const { width, height } = element as HTMLCanvasElement;
    // A copy is read, for a canvas that is read is drawn otherwise from then on.
    const copy = new OffscreenCanvas(width, height);
    const context = copy.getContext('2d', { willReadFrequently: true })!;
    context.drawImage(element as HTMLCanvasElement, 0, 0);
    return Array.from(context.getImageData(0, 0, width, height).data);
  });
  return Uint8Array.from(rgba.filter((_, i) => i % 4 !== 3));
}

/** The picture that `nca render` writes, [size, size, 3] bytes. */
export async function rendered(
  out: string,
  weights: string,
  { steps, size, seed }: { steps: number; size: number; seed: number },
  env: Record<string, string> = {},
): Promise<Uint8Array> {
  await command(
    [
      ...['nca', 'render', '--weights', weights, '--steps', `${steps}`],
      ...['--size', `${size}`, '--seed', `${seed}`, '--out', out],
    ],
    { env },
  );
  return new Uint8Array(await sharp(out).removeAlpha().raw().toBuffer());
}

/** Whether two pictures differ by at most so many steps of 255. */
export function alike(found: Uint8Array, expected: Uint8Array, most: number, what: string): void {
  assert.is(found.length, expected.length, what);
  let worst = 0;
  found.forEach((x, i) => {
    worst = Math.max(worst, Math.abs(x - expected[i]));
  });
  assert.ok(worst <= most, `${what}: pictures differ by ${worst} of 255, expected at most ${most}`);
  assert.ok(new Set(found).size > 8, `${what}: hardly a picture`);
}
