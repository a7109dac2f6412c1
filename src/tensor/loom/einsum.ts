/** Einsum of two operands as one batched matrix product; tfjs-backend-cpu multiplies everything out. */
import { type TensorInfo, util } from '@tensorflow/tfjs-core';
import { alias, allFloat, define, run } from './kernels.ts';
import type { LoomBackend } from './loom-backend.ts';

/** The labels of `a,b->out`, or undefined where it is not a plain contraction of two operands. */
function parse(equation: string): { a: string[]; b: string[]; out: string[] } | undefined {
  const [inputs, output] = equation.replace(/\s/g, '').split('->');
  const operands = inputs.split(',');
  if (output === undefined || operands.length !== 2) return undefined;
  const [a, b, out] = [...operands, output].map(labels => [...labels]);
  // Diagonals, and labels summed in one operand alone, are left to tfjs-backend-cpu.
  const distinct = [a, b, out].every(labels => new Set(labels).size === labels.length);
  const all = (from: string[], ...within: string[][]) =>
    from.every(label => within.some(w => w.includes(label)));
  return distinct && all(a, b, out) && all(b, a, out) && all(out, a, b) ? { a, b, out } : undefined;
}

define('Einsum', (inputs, { equation }, backend) => {
  const tensors = inputs as unknown as TensorInfo[];
  const labels = parse(equation);
  if (!labels || tensors.length !== 2 || !allFloat(...tensors)) return undefined;
  const { a, b, out } = labels;
  if (a.length !== tensors[0].shape.length || b.length !== tensors[1].shape.length) return undefined;
  const sizes = new Map<string, number>();
  for (const [names, { shape }] of [
    [a, tensors[0]],
    [b, tensors[1]],
  ] as const)
    names.forEach((label, d) => {
      util.assert(
        (sizes.get(label) ?? shape[d]) === shape[d],
        () => `einsum ${equation}: sizes ${sizes.get(label)} and ${shape[d]} of ${label} differ`,
      );
      sizes.set(label, shape[d]);
    });
  const size = (names: readonly string[]) => names.reduce((n, label) => n * sizes.get(label)!, 1);
  const batch = a.filter(label => b.includes(label) && out.includes(label));
  const summed = a.filter(label => b.includes(label) && !out.includes(label));
  const rows = a.filter(label => !b.includes(label));
  const columns = b.filter(label => !a.includes(label));
  const held: TensorInfo[] = [];
  const keep = (t: TensorInfo) => {
    held.push(t);
    return t;
  };
  const arranged = (t: TensorInfo, from: string[], to: string[], shape: number[]) => {
    const perm = to.map(label => from.indexOf(label));
    const moved = perm.every((d, i) => d === i) ? t : keep(run('Transpose', { x: t }, { perm }, backend));
    return keep(alias(backend as LoomBackend, moved, shape));
  };
  const left = arranged(
    tensors[0],
    a,
    [...batch, ...rows, ...summed],
    [size(batch), size(rows), size(summed)],
  );
  const right = arranged(
    tensors[1],
    b,
    [...batch, ...summed, ...columns],
    [size(batch), size(summed), size(columns)],
  );
  const flags = { transposeA: false, transposeB: false };
  const product = keep(run('BatchMatMul', { a: left, b: right }, flags, backend));
  const made = [...batch, ...rows, ...columns];
  const y = arranged(
    product,
    made,
    made,
    made.map(label => sizes.get(label)!),
  );
  const perm = out.map(label => made.indexOf(label));
  const result = perm.every((d, i) => d === i)
    ? alias(backend, y, y.shape)
    : run('Transpose', { x: y }, { perm }, backend);
  held.forEach(t => {
    backend.disposeIntermediateTensorInfo(t);
  });
  return result;
});
