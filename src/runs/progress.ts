/** Progress of long work on the terminal: a bar with rate and time left, or plain lines when nobody watches. */
import { MultiBar, Presets } from 'cli-progress';

/** How long work shows how far it is. Stop it when the work ends, however it ends. */
export interface Progress {
  /** Tells how much is done; `note` is a short text such as the loss. */
  update(done: number, note?: string): void;
  /** Takes the bar down; without a terminal, prints the last line. */
  stop(): void;
}

const PLAIN_EVERY_MS = 15_000;

/** 75 -> `1m15s` */
export function clock(seconds: number): string {
  if (!Number.isFinite(seconds)) return '?';
  const s = Math.round(seconds);
  if (s < 60) return `${s}s`;
  const m = Math.floor(s / 60);
  return m < 60
    ? `${m}m${String(s % 60).padStart(2, '0')}s`
    : `${Math.floor(m / 60)}h${String(m % 60).padStart(2, '0')}m`;
}

/**
 * Starts a bar of `total` units. Counting may start at `from`, when work is resumed: rate and time left then come from
 * what was done since. Without a terminal a line is printed now and then.
 */
export function progressBar(label: string, total: number, from = 0): Progress {
  const started = Date.now();
  const figures = (done: number) => {
    const seconds = (Date.now() - started) / 1000;
    // Of no time at all there is no rate.
    const rate = seconds > 0 ? (done - from) / seconds : Number.NaN;
    return {
      rate: Number.isNaN(rate) ? '?/s' : `${rate >= 10 ? rate.toFixed(0) : rate.toPrecision(2)}/s`,
      left: rate > 0 ? clock((total - done) / rate) : '?',
      spent: clock(seconds),
    };
  };
  if (!process.stderr.isTTY) {
    let last = 0;
    let latest = { done: from, note: '' };
    const print = () => {
      const { rate, left, spent } = figures(latest.done);
      const ending = latest.done >= total ? `in ${spent}` : `${left} left`;
      console.error(
        `${label}: ${Math.floor(latest.done)}/${total} ${rate} ${ending} ${latest.note}`.trimEnd(),
      );
    };
    return {
      update(done, note = '') {
        latest = { done, note };
        if (Date.now() - last < PLAIN_EVERY_MS) return;
        last = Date.now();
        print();
      },
      stop: print,
    };
  }
  const bars = new MultiBar(
    {
      format: `${label} {bar} {value}/{total} {rate} {left} left {note}`,
      hideCursor: true,
      clearOnComplete: false,
      stream: process.stderr,
      gracefulExit: false,
      // What is done in part moves the bar, and is not counted yet.
      formatValue: value => `${Math.floor(value)}`,
    },
    Presets.shades_grey,
  );
  const bar = bars.create(total, from, { note: '', rate: '', left: '?' });
  return {
    update: (done, note = '') => bar.update(done, { note, ...figures(done) }),
    stop: () => bars.stop(),
  };
}

/** What is over sooner, in milliseconds, needs no bar. */
const PATIENCE = 1500;

/** Work that tells how much of it is done, under a bar once it has taken a moment. */
export async function withBar<T>(
  begin: (label: string, total: number) => Progress,
  label: string,
  work: (onProgress: (done: number, total: number) => void) => Promise<T>,
): Promise<T> {
  const started = Date.now();
  let bar: Progress | undefined;
  try {
    return await work((done, total) => {
      if (Date.now() - started >= PATIENCE) bar ??= begin(label, total);
      bar?.update(done);
    });
  } finally {
    bar?.stop();
  }
}

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/**
 * An AbortSignal that the first Ctrl-C (or SIGTERM, or SIGHUP when the terminal goes) raises, so that work can finish its step, save and say how to resume; the second
 * Ctrl-C ends the process at once. Call `release` when the work is over.
 */
export function interruption(): { readonly signal: AbortSignal; release(): void } {
  const controller = new AbortController();
  const onSignal = () => {
    if (controller.signal.aborted) process.exit(130);
    console.error('\nfinishing this step ... (Ctrl-C again to stop at once)');
    controller.abort();
  };
  for (const name of SIGNALS) process.on(name, onSignal);
  return {
    signal: controller.signal,
    release() {
      for (const name of SIGNALS) process.off(name, onSignal);
    },
  };
}
