/**
 * Checkpoints: a folder for each, `step-00000120/`, with `state.safetensors` (variables, buffers, moments, averages) and
 * `manifest.json` (what it belongs to, and the hash of the state). A folder appears whole or not at all. Random streams are
 * functions of the seed and the step, so the step is their position.
 */
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import * as t from 'io-ts';
import { describe, refuse, settle, UserError, whole } from '../config/index.ts';
import {
  makeFolder,
  type NdArray,
  readBytes,
  readJson,
  readSafetensors,
  removeLeftovers,
  writeAtomically,
  writeFolderAtomically,
  writeSafetensors,
} from '../formats/index.ts';
import { tf } from '../tensor/index.ts';
import type { Batch } from './batches.ts';
import type { Variables } from './optimiser.ts';
import type { Trainer } from './trainer.ts';

/** Where checkpoints go, when, how many stay, and what has to be the same to go on from one. */
export interface CheckpointOptions {
  /** Made when the first checkpoint is written. */
  readonly folder: string;
  /** What a checkpoint must agree on to be resumed: any JSON value each. */
  readonly identity: { readonly config: unknown; readonly dataHash: string };
  /** Written into the manifest, not compared: versions, backend, threads. */
  readonly environment?: Readonly<Record<string, unknown>>;
  /** What else belongs to the state, as JSON: given to each checkpoint, and back by the one that is gone on from. */
  readonly beside?: { save(): unknown; restore(saved: unknown, where: string): void };
  /** A checkpoint is written when so many steps or seconds have passed since the last. Default 1000 steps, 300 seconds. */
  readonly everySteps?: number;
  readonly everySeconds?: number;
  /** How many of the latest are kept. Default 2. */
  readonly keep?: number;
  /** Also keeps the moving averages of every checkpoint in `averages/`, to put together others afterwards. Default false. */
  readonly keepAverages?: boolean;
  /** Goes on from the latest checkpoint if there is one. */
  readonly resume: boolean;
}

const Manifest = t.strict({
  format: t.literal(1),
  step: whole,
  seconds: t.number,
  sha256: t.string,
  config: t.unknown,
  dataHash: t.string,
  beside: t.unknown,
});

const nameOf = (step: number) => `step-${String(step).padStart(8, '0')}`;
const STATE = 'state.safetensors';

/** The steps of the checkpoints in a folder, oldest first. */
export function checkpointSteps(folder: string): number[] {
  try {
    return readdirSync(folder)
      .flatMap(name => /^step-(\d{8,})$/.exec(name)?.[1] ?? [])
      .map(Number)
      .sort((a, b) => a - b);
  } catch {
    return [];
  }
}

/** Reads one checkpoint after checking it against its hash. @throws UserError when it is damaged */
export async function readCheckpoint(folder: string, step: number) {
  const here = join(folder, nameOf(step));
  const others = checkpointSteps(folder).filter(other => other < step);
  const hint =
    others.length > 0
      ? `Remove ${here} to go on from step ${others.at(-1)}.`
      : 'There is no earlier checkpoint.';
  const path = join(here, 'manifest.json');
  const manifest = Manifest.decode(await settle(readJson(path)));
  if (manifest._tag === 'Left')
    return refuse(path, 'the manifest of a checkpoint', 'something else', { hint });
  const state = join(here, STATE);
  const sha256 = createHash('sha256')
    .update(await settle(readBytes(state)))
    .digest('hex');
  if (sha256 !== manifest.right.sha256) {
    return refuse(
      state,
      `content with SHA-256 ${manifest.right.sha256.slice(0, 12)}...`,
      `${sha256.slice(0, 12)}...`,
      {
        hint: `The checkpoint is damaged. ${hint}`,
      },
    );
  }
  const { tensors } = await settle(readSafetensors(state));
  return { manifest: manifest.right, tensors };
}

/**
 * Sets the newest checkpoint aside while it is damaged and there is one before, and says so. Where the only one is damaged nothing is touched,
 * and going on from it is refused by `resume`; unless `last` says that a training may as well begin anew.
 */
export async function setAsideDamaged(folder: string, { last = false } = {}): Promise<void> {
  const fewest = last ? 1 : 2;
  for (let steps = checkpointSteps(folder); steps.length >= fewest; steps = checkpointSteps(folder)) {
    const step = steps.at(-1)!;
    try {
      await readCheckpoint(folder, step);
      return;
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      const here = join(folder, nameOf(step));
      const what = error.failure ? describe({ ...error.failure, hint: undefined }) : error.message;
      renameSync(here, freeName(`${here}.damaged`));
      console.error(
        `${what} The checkpoint is set aside as ${basename(here)}.damaged; training ${steps.length > 1 ? `goes on from step ${steps.at(-2)}` : 'begins anew'}.`,
      );
    }
  }
}

/** The name, or with a number behind it if something has it. */
const freeName = (path: string, n = 0): string => {
  const name = n === 0 ? path : `${path}-${n}`;
  return existsSync(name) ? freeName(path, n + 1) : name;
};

/** Checkpoints of one training run. */
export function checkpoints(trainer: Trainer, options: CheckpointOptions) {
  const { folder, identity, everySteps = 1000, everySeconds = 300, keep = 2 } = options;
  let last = { step: trainer.step, time: performance.now() };

  const write = (
    target: string,
    seconds: number,
    more: (temporary: string) => Promise<void> = async () => {},
  ) =>
    settle(
      writeFolderAtomically(
        target,
        async temporary => {
          const state = join(temporary, STATE);
          await settle(writeSafetensors(state, await stateOf(trainer)));
          const sha256 = createHash('sha256').update(readFileSync(state)).digest('hex');
          const manifest = {
            format: 1,
            step: trainer.step,
            seconds,
            sha256,
            ...identity,
            environment: options.environment,
            beside: options.beside?.save(),
          };
          await settle(
            writeAtomically(join(temporary, 'manifest.json'), `${JSON.stringify(manifest, null, 2)}\n`),
          );
          await more(temporary);
        },
        { replace: () => true },
      ),
    );

  const store = {
    /** Loads the latest checkpoint, if resuming is wanted and there is one. @returns the training time so far */
    async resume(): Promise<number> {
      await makeFolder(dirname(folder));
      await removeLeftovers(folder);
      if (options.resume) await setAsideDamaged(folder);
      const steps = checkpointSteps(folder);
      if (steps.length === 0) return 0;
      if (!options.resume) {
        return refuse(folder, 'no checkpoints', `${steps.length} of an earlier run`, {
          hint: 'Resume that run or choose another folder.',
        });
      }
      const step = steps.at(-1)!;
      const { manifest, tensors } = await readCheckpoint(folder, step);
      const path = join(folder, nameOf(step), 'manifest.json');
      const difference = firstDifference(manifest.config, plain(identity.config), 'config');
      if (difference) {
        const { field, stored, given } = difference;
        return refuse(
          path,
          `${JSON.stringify(given)}, as in this run's configuration`,
          `${JSON.stringify(stored)}`,
          { field },
        );
      }
      if (manifest.dataHash !== identity.dataHash) {
        return refuse(path, `the data set with hash ${identity.dataHash}`, manifest.dataHash, {
          field: 'dataHash',
        });
      }
      restore(trainer, tensors, join(folder, nameOf(step), STATE));
      trainer.optimiser.steps = manifest.step;
      if (manifest.beside !== undefined) options.beside?.restore(manifest.beside, `${path}: beside`);
      last = { step: manifest.step, time: performance.now() };
      return manifest.seconds;
    },

    /** Writes a checkpoint, unless the last one is of this very step. */
    async save(seconds: number): Promise<void> {
      if (trainer.step === last.step) return;
      if (!existsSync(dirname(folder)))
        refuse(dirname(folder), 'the folder of this run', 'nothing there: it was removed');
      await write(join(folder, nameOf(trainer.step)), seconds);
      if (options.keepAverages) await saveAverages();
      last = { step: trainer.step, time: performance.now() };
      for (const step of checkpointSteps(folder).slice(0, -keep)) {
        rmSync(join(folder, nameOf(step)), { recursive: true, force: true });
      }
    },

    /** Whether it is time for one. */
    due(): boolean {
      const waited = (performance.now() - last.time) / 1000;
      return trainer.step - last.step >= everySteps || waited >= everySeconds;
    },

    /** Saves state and batch of a step that went wrong. @returns the folder */
    async saveForStudy(batch: Batch, seconds: number, loss: number): Promise<string> {
      const target = join(folder, `non-finite-${nameOf(trainer.step)}`);
      await write(target, seconds, async temporary => {
        const { indices, levels, clean, noise, present, features, images } = batch;
        const rows = indices.length;
        const matrix = (data: Float32Array): NdArray => ({ shape: [rows, data.length / rows], data });
        await settle(
          writeSafetensors(
            join(temporary, 'batch.safetensors'),
            {
              indices: { shape: [rows], data: Int32Array.from(indices) },
              levels: { shape: [rows], data: levels },
              present: { shape: [rows], data: present },
              clean: matrix(clean),
              noise: matrix(noise),
              ...(features && { features: matrix(features) }),
              ...(images && { images: matrix(images) }),
            },
            { loss: String(loss) },
          ),
        );
      });
      return target;
    },
  };

  /** `averages/step-00000120.safetensors`, keys `WIDTH/NAME`. */
  async function saveAverages(): Promise<void> {
    const tensors: Record<string, NdArray> = {};
    for (const { sigmaRel, values } of trainer.averages)
      Object.assign(tensors, await arrays(`${sigmaRel}/`, values));
    await settle(writeSafetensors(join(folder, 'averages', `${nameOf(trainer.step)}.safetensors`), tensors));
  }
  return store;
}

/** Everything a training step depends on, by name. */
function parts(trainer: Trainer): Record<string, tf.Variable> {
  const all: Record<string, tf.Variable> = {};
  const add = (prefix: string, variables: Variables) => {
    for (const [name, variable] of Object.entries(variables)) all[`${prefix}/${name}`] = variable;
  };
  add('variables', trainer.variables);
  add('buffers', trainer.buffers);
  add('moments', trainer.optimiser.moments);
  for (const { sigmaRel, values } of trainer.averages) add(`averages/${sigmaRel}`, values);
  return all;
}

const arrays = async (prefix: string, variables: Variables): Promise<Record<string, NdArray>> =>
  Object.fromEntries(
    await Promise.all(
      Object.entries(variables).map(async ([name, variable]) => [
        prefix + name,
        { shape: variable.shape, data: (await variable.data()) as Float32Array },
      ]),
    ),
  );

const stateOf = (trainer: Trainer) => arrays('', parts(trainer));

/** Puts a checkpoint's numbers into the variables; all of them must be there with their shapes. */
function restore(trainer: Trainer, tensors: Record<string, NdArray>, where: string): void {
  const wanted = Object.entries(parts(trainer));
  for (const [name, variable] of wanted) {
    const found = tensors[name];
    if (!found || found.shape.join() !== variable.shape.join()) {
      refuse(where, `a tensor of shape [${variable.shape}]`, found ? `[${found.shape}]` : 'none', {
        field: name,
      });
    }
  }
  const surplus = Object.keys(tensors).find(name => !wanted.some(([other]) => other === name));
  if (surplus) refuse(where, 'only tensors of this model', 'another one', { field: surplus });
  tf.tidy(() => {
    for (const [name, variable] of wanted) {
      variable.assign(tf.tensor(tensors[name].data as Float32Array, variable.shape));
    }
  });
}

const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value ?? null));

/** The first place where two JSON values differ. */
function firstDifference(
  stored: unknown,
  given: unknown,
  field: string,
): { field: string; stored: unknown; given: unknown } | undefined {
  const isObject = (x: unknown): x is Record<string, unknown> => typeof x === 'object' && x !== null;
  if (isObject(stored) && isObject(given)) {
    for (const key of new Set([...Object.keys(stored), ...Object.keys(given)])) {
      const difference = firstDifference(stored[key], given[key], `${field}.${key}`);
      if (difference) return difference;
    }
    return undefined;
  }
  return stored === given ? undefined : { field, stored, given };
}
