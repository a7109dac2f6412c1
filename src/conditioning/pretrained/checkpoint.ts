/** The tensors of a pretrained network out of a file that somebody else made: by name, each with the shape the network needs. */
import { createHash } from 'node:crypto';
import type * as TE from 'fp-ts/lib/TaskEither.js';
import { attempt, type Failure, refuse, settle } from '../../config/index.ts';
import {
  bytesOf,
  isTorchSave,
  type NdArray,
  readSafetensors,
  readSafetensorsHeader,
  readTorchState,
  shapeText,
  sizeOf,
} from '../../formats/index.ts';

/** What a network asks of a file: the shape of each tensor by its name, and the other names it may go by. */
export interface Wanted {
  readonly shapes: Readonly<Record<string, readonly number[]>>;
  readonly aliases?: (name: string) => readonly string[];
}

/** The tensors a network asked for, each checked for its shape and for finite numbers. */
export interface Checkpoint {
  /** Values by the names of `Wanted`, row-major. */
  readonly tensors: Readonly<Record<string, Float32Array>>;
  /** Of names and values: part of the key under which features are cached. */
  readonly hash: string;
}

/** The name under which the file has a tensor, checked for its shape. */
function locate(
  path: string,
  wanted: Wanted,
  name: string,
  shapeOf: (name: string) => readonly number[] | undefined,
): string {
  const known = [name, ...(wanted.aliases?.(name) ?? [])].find(candidate => shapeOf(candidate) !== undefined);
  if (known === undefined) return refuse(path, `a tensor ${name}`, 'none of that name');
  const expected = wanted.shapes[name];
  const found = shapeOf(known)!;
  if (shapeText(found) !== shapeText(expected)) {
    refuse(path, `shape ${shapeText(expected)}`, shapeText(found), { field: known });
  }
  return known;
}

/** The checkpoint in tensors already read. `where` names them in failures; tensors nobody asked for are left alone. */
export function pickTensors(
  where: string,
  tensors: Readonly<Record<string, NdArray>>,
  wanted: Wanted,
): Checkpoint {
  const hash = createHash('sha256');
  const picked: Record<string, Float32Array> = {};
  for (const name of Object.keys(wanted.shapes)) {
    const key = locate(where, wanted, name, candidate => tensors[candidate]?.shape);
    const { data } = tensors[key];
    const values = data instanceof Float32Array ? data : Float32Array.from(data);
    const bad = values.findIndex(x => !Number.isFinite(x));
    if (bad >= 0) refuse(where, 'finite weights', `${values[bad]}`, { field: `${key}[${bad}]` });
    picked[name] = values;
    hash.update(name).update(bytesOf(values));
  }
  return { tensors: picked, hash: hash.digest('hex').slice(0, 32) };
}

/** Reads only what is wanted, from a safetensors file or a PyTorch state dictionary (.pt, .pth, .ckpt, zip or legacy). */
export const readCheckpoint = (path: string, wanted: Wanted): TE.TaskEither<Failure, Checkpoint> =>
  attempt(path, async () => {
    if (await settle(isTorchSave(path))) {
      const names = new Set(
        Object.keys(wanted.shapes).flatMap(name => [name, ...(wanted.aliases?.(name) ?? [])]),
      );
      const tensors = await settle(readTorchState(path, { tensors: name => names.has(name) }));
      return pickTensors(path, tensors, wanted);
    }
    const { entries } = await settle(readSafetensorsHeader(path));
    const names = Object.keys(wanted.shapes).map(name =>
      locate(path, wanted, name, candidate => entries.get(candidate)?.shape),
    );
    const { tensors } = await settle(readSafetensors(path, { names }));
    return pickTensors(path, tensors, wanted);
  });

/** PyTorch's [out, in] of a linear layer as [in, out]. */
export function transposed(data: Float32Array, [rows, columns]: readonly number[]): Float32Array {
  const out = new Float32Array(data.length);
  for (let r = 0; r < rows; r++) for (let c = 0; c < columns; c++) out[c * rows + r] = data[r * columns + c];
  return out;
}

/** PyTorch's convolution filters [out, in, height, width] as [height, width, in, out]. */
export function filtersLast(
  data: Float32Array,
  [outputs, inputs, height, width]: readonly number[],
): Float32Array {
  const area = height * width;
  const out = new Float32Array(sizeOf([outputs, inputs, area]));
  for (let o = 0; o < outputs; o++)
    for (let i = 0; i < inputs; i++)
      for (let p = 0; p < area; p++) out[(p * inputs + i) * outputs + o] = data[(o * inputs + i) * area + p];
  return out;
}
