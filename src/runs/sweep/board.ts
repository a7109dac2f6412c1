/** What a sweep is doing, for the person who watches: a live board on a terminal, a line for every event elsewhere. */
import { MultiBar, Presets } from 'cli-progress';
import { clock } from '../progress.ts';

export interface Tally {
  readonly total: number;
  readonly finished: number;
  readonly failed: number;
  readonly running: number;
}

export interface Board {
  /** A cell starts in a slot, counted from 0. */
  started(slot: number, id: string): void;
  /** What the cell last said. */
  said(slot: number, line: string): void;
  /** The slot's cell ended: well, or for a reason. */
  ended(slot: number, id: string, reason: string | null): void;
  stop(): void;
}

/**
 * Seconds until everything is done, from the mean time of the cells that ended; null before the first.
 * @param seconds times of the cells that ended here
 */
export function timeLeft(seconds: readonly number[], { total, finished, failed }: Tally, slots: number) {
  if (seconds.length === 0) return null;
  const mean = seconds.reduce((a, b) => a + b, 0) / seconds.length;
  return (mean * (total - finished - failed)) / slots;
}

const left = (seconds: number | null) => (seconds === null ? '' : `, ${clock(seconds)} left`);

const tallyText = ({ total, finished, failed, running }: Tally) =>
  [
    `${finished}/${total} finished`,
    ...(failed > 0 ? [`${failed} failed`] : []),
    `${running} running`,
    `${total - finished - failed - running} waiting`,
  ].join(', ');

export interface BoardOptions {
  readonly label: string;
  readonly total: number;
  /** Finished before this sweep began. */
  readonly finished: number;
  readonly slots: number;
}

/** A board on standard error. */
export function sweepBoard({ label, total, finished: before, slots }: BoardOptions): Board {
  const starts = new Map<number, { id: string; at: number }>();
  const seconds: number[] = [];
  let tally: Tally = { total, finished: before, failed: 0, running: 0 };
  const begin = (slot: number, id: string) => {
    starts.set(slot, { id, at: Date.now() });
    tally = { ...tally, running: tally.running + 1 };
  };
  const end = (slot: number, reason: string | null): number => {
    const took = (Date.now() - starts.get(slot)!.at) / 1000;
    starts.delete(slot);
    seconds.push(took);
    tally = {
      ...tally,
      running: tally.running - 1,
      finished: tally.finished + (reason === null ? 1 : 0),
      failed: tally.failed + (reason === null ? 0 : 1),
    };
    return took;
  };
  const summary = () => `${tallyText(tally)}${left(timeLeft(seconds, tally, slots))}`;

  if (!process.stderr.isTTY) {
    return {
      started: (slot, id) => {
        begin(slot, id);
        console.error(`${label}: started ${id}`);
      },
      said: () => {},
      ended: (slot, id, reason) => {
        const took = clock(end(slot, reason));
        console.error(`${label}: ${reason === null ? 'finished' : 'failed'} ${id} in ${took}; ${summary()}`);
        if (reason !== null) console.error(`${label}:   ${reason}`);
      },
      stop: () => {},
    };
  }

  const bars = new MultiBar(
    { hideCursor: true, clearOnComplete: false, stream: process.stderr, gracefulExit: false, format: '' },
    Presets.shades_grey,
  );
  const whole = bars.create(total, before, { note: '' }, { format: `${label} {bar} {note}` });
  const lines = Array.from({ length: slots }, () => bars.create(1, 0, { note: '' }, { format: '  {note}' }));
  const said = new Map<number, string>();
  const width = () => Math.max(20, (process.stderr.columns ?? 80) - 3);
  const draw = () => {
    whole.update(tally.finished + tally.failed, { note: summary() });
    lines.forEach((line, slot) => {
      const running = starts.get(slot);
      const text = running
        ? `${slot + 1}  ${clock((Date.now() - running.at) / 1000).padStart(6)}  ${running.id}  ${said.get(slot) ?? ''}`
        : `${slot + 1}  idle`;
      line.update(0, { note: text.slice(0, width()) });
    });
  };
  const ticking = setInterval(draw, 1000).unref();
  return {
    started: (slot, id) => {
      begin(slot, id);
      said.delete(slot);
      draw();
    },
    said: (slot, line) => {
      said.set(slot, line);
    },
    ended: (slot, id, reason) => {
      end(slot, reason);
      if (reason !== null) bars.log(`failed ${id}: ${reason}\n`);
      draw();
    },
    stop: () => {
      clearInterval(ticking);
      draw();
      bars.stop();
    },
  };
}
