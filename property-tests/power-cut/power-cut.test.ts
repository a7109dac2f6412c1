/**
 * The power goes at every point of every durable write, and every call that writes fails in turn. What was whole stays whole, what had returned is there,
 * and nothing half-written is left behind.
 */
import { createHash } from 'node:crypto';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { attempt, settle, UserError } from '../../src/config/index.ts';
import { Parts } from '../../src/data/building/parts.ts';
import { trainingCurve } from '../../src/experiment/curve.ts';
import { unfinishedTraining } from '../../src/experiment/unfinished.ts';
import { putInPlace } from '../../src/formats/atomic.ts';
import {
  lock,
  removeLeftovers,
  writeAtomically,
  writeAtomicallyNow,
  writeFolderAtomically,
} from '../../src/formats/index.ts';
import { createRunFolder, pinInput } from '../../src/runs/index.ts';
import { randomStream, startBackend } from '../../src/tensor/index.ts';
import { checkpoints } from '../../src/training/checkpoints.ts';
import type { StepRecord } from '../../src/training/index.ts';
import { countingTrainer } from '../counting-trainer.ts';
import { type Change, Disk, FATES } from './disk.ts';
import { type Mark, syncNothing, watchCalls } from './watched-calls.ts';

const test = suite('power cuts and failing disks');
// In memory where there is such a place: the disk has nothing to do with it.
const scratch = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'weightloom-power-'));
test.before(async () => {
  await startBackend();
  await syncNothing();
});
test.after(() => rmSync(scratch, { recursive: true, force: true }));
let folders = 0;
const fresh = () => {
  const path = join(scratch, String(folders++));
  mkdirSync(path);
  return path;
};

interface Scene {
  /** What is on the disk before. */
  prepare?(root: string): Promise<unknown> | unknown;
  /** What is done to it; it marks what it may rely on from then on. */
  work(root: string, mark: Mark): Promise<unknown>;
  /** What has to hold after a cut or a failure, as the next process finds it. */
  check(root: string, returned: readonly string[]): Promise<unknown> | unknown;
}

/** A number no process has. */
const DEAD = 2 ** 22 + 1;
/** The process that was cut off is not this one. */
const ofTheDead = (path: string) => path.replaceAll(`-${process.pid}.`, `-${DEAD}.`);

/** The same for locks it held: whole ones name it. */
function buryLocks(root: string): void {
  for (const name of readdirSync(root, { recursive: true }).map(String)) {
    if (!name.endsWith('.lock')) continue;
    const path = join(root, name);
    writeFileSync(path, readFileSync(path, 'utf8').replace(`"pid":${process.pid}`, `"pid":${DEAD}`));
  }
}

const filesOf = (root: string) =>
  readdirSync(root, { recursive: true })
    .map(String)
    .filter(name => !name.endsWith('.lock'))
    .sort();
const temporaries = (root: string) => filesOf(root).filter(name => /\.tmp(\.old)?(\/|$)/.test(name));

async function atEveryCut(name: string, { prepare, work, check }: Scene): Promise<void> {
  const [root, before] = [fresh(), fresh()];
  await prepare?.(root);
  cpSync(root, before, { recursive: true });
  const { changes, error } = await watchCalls(root, mark => work(root, mark));
  if (error) throw error;
  const disk = new Disk(root, before);
  const returned: string[] = [];
  const seen = new Set<string>();
  for (let cut = 0; cut <= changes.length; cut++) {
    for (const [n, fate] of FATES.entries()) {
      const left = disk.afterCut(fate, randomStream(n, `cut/${cut}`));
      const hash = createHash('sha256').update(returned.join());
      for (const [path, content] of left) hash.update(`\n${path}\n`).update(content ?? '');
      const state = hash.digest('hex');
      if (seen.has(state)) continue;
      seen.add(state);
      const found = fresh();
      for (const [path, content] of left) {
        const target = join(found, ofTheDead(path));
        if (content) writeFileSync(target, content);
        else mkdirSync(target, { recursive: true });
      }
      buryLocks(found);
      const names = filesOf(found).join(' ');
      try {
        await check(found, returned);
        assert.equal(temporaries(found), [], 'what the dead process had begun is removed');
      } catch (failed) {
        const at = changes
          .slice(Math.max(0, cut - 3), cut)
          .map(told)
          .join('; ');
        throw new Error(
          `${name}: power cut after call ${cut} (${at}), fate ${JSON.stringify(fate)}, found ${names}: ${(failed as Error).stack}`,
        );
      }
      rmSync(found, { recursive: true });
    }
    const change = changes[cut];
    if (change?.kind === 'mark') returned.push(change.label);
    if (change) disk.apply(change);
  }
}

const told = (change: Change) =>
  change.kind === 'mark'
    ? `${change.label} returned`
    : `${change.kind} ${change.path.split('/').slice(-2).join('/')}`;

async function atEveryFailure(name: string, { prepare, work, check }: Scene): Promise<void> {
  for (let call = 0; ; call++) {
    const code = call % 2 ? 'EIO' : 'ENOSPC';
    const root = fresh();
    await prepare?.(root);
    const returned: string[] = [];
    const whole = (mark: Mark) =>
      work(root, label => {
        returned.push(label);
        mark(label);
      });
    const { error, failed } = await watchCalls(root, whole, { call, code });
    if (!failed) {
      assert.ok(call > 2, `${name}: calls that may fail`);
      return;
    }
    try {
      assert.instance(error, UserError, `it was not told: ${(error as Error)?.stack}`);
      assert.match((error as Error).message, /^[^\n]*: expected [^\n]*, found [^\n]*\.$/);
      assert.equal(temporaries(root), []);
      buryLocks(root);
      await check(root, returned);
      // It can be tried again, by the same process.
      await work(root, () => {});
    } catch (wrong) {
      throw new Error(`${name}: ${code} at call ${call} (${told(failed)}): ${(wrong as Error).stack}`);
    }
  }
}

const scenes: Record<string, Scene> = {};

const fileScene = (write: (path: string, content: string) => Promise<unknown> | unknown): Scene => ({
  prepare: root => writeFileSync(join(root, 'a.txt'), 'old'),
  async work(root, mark) {
    await write(join(root, 'a.txt'), 'the new content of the file');
    mark('new');
  },
  async check(root, returned) {
    await removeLeftovers(root);
    const content = readFileSync(join(root, 'a.txt'), 'utf8');
    assert.ok(
      [...(returned.length ? [] : ['old']), 'the new content of the file'].includes(content),
      content,
    );
    assert.equal(readdirSync(root), ['a.txt']);
  },
});
scenes['a file'] = fileScene((path, content) => settle(writeAtomically(path, content)));
scenes['a file, in pieces'] = fileScene((path, content) =>
  settle(
    writeAtomically(path, async file => {
      for (const letter of content) await file.write(Buffer.from(letter), 0, 1);
    }),
  ),
);
scenes['a file, at once'] = fileScene(writeAtomicallyNow);

scenes['a file in new folders'] = {
  async work(root, mark) {
    await settle(writeAtomically(join(root, 'a', 'b', 'c.txt'), 'content'));
    mark('there');
  },
  check(root, returned) {
    const path = join(root, 'a', 'b', 'c.txt');
    if (returned.length) assert.ok(existsSync(path));
    if (existsSync(path)) assert.is(readFileSync(path, 'utf8'), 'content');
    return removeLeftovers(join(root, 'a', 'b'));
  },
};

scenes['a finished file is given its name'] = {
  prepare: root => writeFileSync(join(root, 'whole.txt'), 'old'),
  async work(root, mark) {
    const [part, whole] = ['whole.part', 'whole.txt'].map(name => join(root, name));
    await settle(
      attempt(whole, async () => {
        writeFileSync(part, 'brought from far away');
        await putInPlace(part, whole);
      }),
    );
    mark('in place');
  },
  check(root, returned) {
    const content = readFileSync(join(root, 'whole.txt'), 'utf8');
    assert.ok([...(returned.length ? [] : ['old']), 'brought from far away'].includes(content), content);
  },
};

scenes['a folder is replaced'] = {
  prepare(root) {
    mkdirSync(join(root, 'zoo', 'images'), { recursive: true });
    for (const name of ['a', 'images/b']) writeFileSync(join(root, 'zoo', name), 'old');
  },
  async work(root, mark) {
    await settle(
      writeFolderAtomically(
        join(root, 'zoo'),
        async temporary => {
          mkdirSync(join(temporary, 'pictures'));
          for (const name of ['a', 'pictures/b']) await settle(writeAtomically(join(temporary, name), 'new'));
          writeFileSync(join(temporary, 'c'), 'new');
        },
        { replace: () => true },
      ),
    );
    mark('replaced');
  },
  async check(root, returned) {
    await removeLeftovers(root);
    assert.equal(readdirSync(root), ['zoo']);
    const names = filesOf(join(root, 'zoo'));
    const isNew = names.includes('c');
    assert.equal(names, isNew ? ['a', 'c', 'pictures', 'pictures/b'] : ['a', 'images', 'images/b']);
    for (const name of isNew ? ['a', 'c', 'pictures/b'] : ['a', 'images/b']) {
      assert.is(readFileSync(join(root, 'zoo', name), 'utf8'), isNew ? 'new' : 'old', name);
    }
    if (returned.length) assert.ok(isNew);
  },
};

const identity = { config: {}, dataHash: 'x' };
const storeIn = (root: string, { trainer }: ReturnType<typeof countingTrainer>) =>
  checkpoints(trainer, { folder: join(root, 'checkpoints'), identity, resume: true, keepAverages: true });

async function saveAt(root: string, steps: readonly number[], mark: Mark = () => {}) {
  const training = countingTrainer();
  const store = storeIn(root, training);
  await store.resume();
  for (const step of steps) {
    if (step <= training.trainer.step) continue;
    training.go(step);
    await store.save(step);
    mark(String(step));
  }
}

scenes.checkpoints = {
  prepare: root => saveAt(root, [1, 2]),
  work: (root, mark) => saveAt(root, [3, 4], mark),
  async check(root, returned) {
    const training = countingTrainer();
    await storeIn(root, training).resume();
    const last = Number(returned.at(-1) ?? 2);
    assert.ok([last, last + 1].includes(training.trainer.step), `step ${training.trainer.step}, not ${last}`);
    training.stands(training.trainer.step);
    await removeLeftovers(join(root, 'checkpoints', 'averages'));
  },
};
scenes['the first checkpoint'] = {
  work: (root, mark) => saveAt(root, [1], mark),
  async check(root, returned) {
    const training = countingTrainer();
    await storeIn(root, training).resume();
    if (returned.length || training.trainer.step > 0) training.stands(1);
    if (existsSync(join(root, 'checkpoints', 'averages'))) {
      await removeLeftovers(join(root, 'checkpoints', 'averages'));
    }
  },
};

/** A run of two parts, which is begun or gone on with, as `run --resume` does. */
async function twoParts(root: string, mark: Mark = () => {}) {
  const folder = join(root, 'run');
  const done: string[] = [];
  const resume = existsSync(join(folder, 'config.yaml'));
  const run = await createRunFolder('x', { seed: 1 }, { folder, resume });
  try {
    run.pin('the zoo z', 'hash');
    mark('begun');
    for (const name of ['a', 'b']) {
      const value = await run.once(name, async () => {
        run.log({ name });
        done.push(name);
        return { name, numbers: Float32Array.of(1, 2, 3) };
      });
      assert.equal(value, { name, numbers: Float32Array.of(1, 2, 3) });
      mark(name);
    }
    run.write('results.json', '{"version":1}');
    mark('results');
  } finally {
    await run.leave();
  }
  return { done, begun: resume };
}
scenes['a run and its parts'] = {
  work: twoParts,
  async check(root, returned) {
    if (returned.includes('results')) {
      assert.is(readFileSync(join(root, 'run', 'results.json'), 'utf8'), '{"version":1}');
    }
    if (existsSync(join(root, 'run', 'config.yaml'))) {
      // What `runs resume` needs is there as soon as the run counts as begun.
      JSON.parse(readFileSync(join(root, 'run', 'environment.json'), 'utf8'));
    }
    const { done, begun } = await twoParts(root);
    if (returned.includes('begun')) assert.ok(begun);
    assert.ok(!done.some(name => returned.includes(name)), `done again: ${done}`);
    assert.equal(
      filesOf(join(root, 'run')).filter(name => name.includes('damaged')),
      [],
    );
    pinInput(join(root, 'run'), 'the zoo z', 'hash');
    if (existsSync(join(root, 'run', 'parts'))) await removeLeftovers(join(root, 'run', 'parts'));
  },
};

/** A training inside an experiment that has its curve beside it: a point a step, a checkpoint every second. */
async function insideExperiment(root: string) {
  const { checkpoint } = await unfinishedTraining({ file: name => join(root, name) }, 'key');
  const curve = trainingCurve(1, () => {});
  const training = countingTrainer();
  const store = checkpoints(training.trainer, { ...checkpoint, beside: curve.beside });
  await store.resume();
  return { training, curve, store, folder: checkpoint.folder };
}
scenes['a training inside an experiment'] = {
  async work(root, mark) {
    const { training, curve, store } = await insideExperiment(root);
    for (let step = training.trainer.step + 1; step <= 4; step++) {
      curve.record({ step, steps: 4, seconds: 0, loss: 1 / step } as StepRecord);
      training.go(step);
      if (step % 2) continue;
      await store.save(step);
      mark(String(step));
    }
  },
  async check(root, returned) {
    const { training, curve, folder } = await insideExperiment(root);
    const { step } = training.trainer;
    assert.ok(step >= Number(returned.at(-1) ?? 0));
    if (step > 0) training.stands(step);
    assert.equal(
      curve.points,
      Array.from({ length: step }, (_, i) => ({ step: i + 1, seconds: 0, loss: 1 / (i + 1) })),
    );
    await removeLeftovers(folder);
  },
};

scenes['the parts of a zoo'] = {
  async work(root, mark) {
    const parts = new Parts(join(root, 'work'), 3);
    for (const name of ['a', 'b']) {
      const about = { target: name, attempts: 1, fault: null, loss: 0 };
      await parts.write(name, { weights: Float32Array.of(1, 2, 3), ...about });
      mark(name);
    }
  },
  async check(root, returned) {
    const parts = new Parts(join(root, 'work'), 3, sentence => assert.unreachable(sentence));
    for (const name of ['a', 'b']) {
      const part = await parts.read(name, name);
      if (returned.includes(name)) assert.ok(part, `${name} had been written`);
      if (part) assert.equal(part.weights, Float32Array.of(1, 2, 3));
    }
    await removeLeftovers(join(root, 'work'));
  },
};

scenes['a lock'] = {
  async work(root) {
    const leave = await lock(join(root, 'x.lock'), 'x');
    await leave();
  },
  async check(root) {
    const leave = await lock(join(root, 'x.lock'), 'x');
    await leave();
    assert.equal(readdirSync(root), []);
  },
};

for (const [name, scene] of Object.entries(scenes)) {
  test(`${name}: the power goes at any point`, () => atEveryCut(name, scene));
  test(`${name}: any call fails`, () => atEveryFailure(name, scene));
}

test.run();
