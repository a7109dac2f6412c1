/** The weights of one NCA, checked against its spec. A batch of NCAs is a plain tensor [B, D] in the same flat order. */
import * as E from 'fp-ts/lib/Either.js';
import { type Failure, failure } from '../config/index.ts';
import { type NcaSpec, type WeightBlock, weightBlocks, weightCount } from './spec.ts';

/** One NCA: its spec and its weights. Made by `ncaWeights` where they come from outside. */
export interface NcaWeights {
  readonly spec: NcaSpec;
  /** [D], flat order w1, b1, w2(, b2). */
  readonly flat: Float32Array;
}

/** Checks length and finiteness. `where` names the source in the failure. */
export function ncaWeights(spec: NcaSpec, flat: Float32Array, where: string): E.Either<Failure, NcaWeights> {
  const expected = weightCount(spec);
  if (flat.length !== expected) {
    return E.left(
      failure(where, `${expected} weights for the spec ${spec.name} (${shapeText(spec)})`, `${flat.length}`),
    );
  }
  const bad = flat.findIndex(x => !Number.isFinite(x));
  if (bad >= 0) {
    return E.left(failure(where, 'finite weights', `${flat[bad]}`, { field: weightName(spec, bad) }));
  }
  return E.right({ spec, flat });
}

const shapeText = (spec: NcaSpec) =>
  weightBlocks(spec)
    .map(({ name, shape }) => `${name} ${shape.join('x')}`)
    .join(', ');

/** The name of one coordinate of the flat vector, such as `w1[3,17]`. */
export function weightName(spec: NcaSpec, index: number): string {
  const block = weightBlocks(spec).find(({ offset, size }) => index >= offset && index < offset + size);
  if (!block) throw new Error(`weight index ${index} is outside the spec ${spec.name}`);
  const local = index - block.offset;
  const columns = block.shape.length === 2 ? block.shape[1] : 1;
  return block.shape.length === 2
    ? `${block.name}[${Math.floor(local / columns)},${local % columns}]`
    : `${block.name}[${local}]`;
}

/** A view (no copy) of one block of a flat weight vector. */
export function blockOf(spec: NcaSpec, flat: Float32Array, name: WeightBlock['name']): Float32Array {
  const block = weightBlocks(spec).find(b => b.name === name);
  if (!block) throw new Error(`the spec ${spec.name} has no ${name}`);
  return flat.subarray(block.offset, block.offset + block.size);
}
