/**
 * What an optimiser does to all variables together: the norm of the gradients, clipping, Adam, moving averages. A dispatch takes as many variables as
 * the device binds at once; everything is changed in place, and nobody else may hold its numbers.
 */
import type { TensorInfo } from '@tensorflow/tfjs-core';
import type { GpuReport } from '../../compute/index.ts';
import type { LoomGpuBackend } from './backend.ts';
import { define } from './kernels.ts';
import { SUMS, sumMiddle } from './reduce.ts';
import { bits, flat, perItem, type Shader, sizeOf } from './shader.ts';

/** How many groups of `each` tensors a shader may see beside `others` buffers: that, and powers of two below for what is left over. */
function bundleSizes({ maxStorageBuffers }: GpuReport, each: number, others: number): number[] {
  const most = Math.max(1, Math.floor((maxStorageBuffers - others) / each));
  const sizes = [most];
  for (let size = 2 ** Math.floor(Math.log2(most)); size >= 1; size /= 2) if (size < most) sizes.push(size);
  return sizes;
}

/** Shaders by the number of groups that they take, made when first asked for. */
class Bundle {
  private readonly made = new Map<number, Shader>();
  constructor(
    private readonly each: number,
    private readonly others: number,
    private readonly make: (count: number) => Shader,
  ) {}

  of(count: number): Shader {
    let shader = this.made.get(count);
    if (!shader) {
      shader = this.make(count);
      this.made.set(count, shader);
    }
    return shader;
  }

  readonly shaders = (report: GpuReport): Shader[] =>
    bundleSizes(report, this.each, this.others).map(size => this.of(size));

  /** Cuts `total` groups into bundles: calls `run` with the shader, the first group and the one after the last. */
  cut(report: GpuReport, total: number, run: (shader: Shader, from: number, to: number) => void): void {
    const sizes = bundleSizes(report, this.each, this.others);
    for (let from = 0; from < total; ) {
      const size = sizes.find(size => size <= total - from)!;
      run(this.of(size), from, from + size);
      from += size;
    }
  }
}

const numbered = (count: number, ...names: string[]) =>
  Array.from({ length: count }, (_, j) => names.map(name => `${name}${j}`)).flat();

/** `body`(j) for the group that holds the item, which is `at` there. `numbers` begin with the ends of the groups. */
const byGroup = (count: number, body: (j: number) => string): string =>
  Array.from(
    { length: count },
    (_, j) =>
      `if (item < numbers[${j}]) { let at = item${j === 0 ? '' : ` - numbers[${j - 1}]`}; ${body(j)} return; }`,
  ).join('\n');

/** The ends of groups of so many items each. */
function endsOf(sizes: readonly number[]): number[] {
  let end = 0;
  return sizes.map(size => {
    end += size;
    return end;
  });
}

/** Whether a step is not to be made: its factor is NaN. */
const SKIPPED = 'if ((bitcast<u32>(scale[0]) & 0x7fffffffu) > 0x7f800000u) { return; }';

/** `settings`: beta1, beta2, rate, correction, epsilon, keep, 1 - beta1, 1 - beta2. */
const ADAM = new Bundle(4, 3, count =>
  perItem(
    'Adam',
    {
      outputs: numbered(count, 'value', 'first', 'second'),
      inputs: [...numbered(count, 'gradient'), 'settings', 'scale'],
    },
    `${SKIPPED}\n${byGroup(
      count,
      j => `
  let g = gradient${j}[at] * scale[0];
  let m = settings[0] * first${j}[at] + settings[6] * g;
  let v = settings[1] * second${j}[at] + settings[7] * g * g;
  first${j}[at] = m;
  second${j}[at] = v;
  value${j}[at] = settings[5] * value${j}[at] - settings[2] * m / (sqrt(v) * settings[3] + settings[4]);`,
    )}`,
    `numbers[${count - 1}]`,
  ),
);

/** Inputs: variables, first moments, second moments and gradients, as many of each, settings, and the factor of the gradients, NaN for no step. */
define('LoomAdam', ADAM.shaders, (inputs, _, backend) => {
  const list = Object.values(inputs);
  const count = (list.length - 2) / 4;
  const [settings, scale] = list.slice(-2);
  ADAM.cut(backend.gpu.report, count, (shader, from, to) => {
    const [values, firsts, seconds, gradients] = [0, 1, 2, 3].map(k =>
      list.slice(k * count + from, k * count + to),
    );
    const ends = endsOf(values.map(sizeOf));
    const outputs = values.flatMap((value, j) => [value, firsts[j], seconds[j]]);
    backend.compute(
      shader,
      [...gradients, settings, scale],
      outputs,
      Uint32Array.from(ends),
      flat(ends.at(-1)!),
    );
  });
  return [];
});

/** average += fresh (variable - average). */
const AVERAGE = new Bundle(2, 3, count =>
  perItem(
    'moving average',
    { outputs: numbered(count, 'average'), inputs: [...numbered(count, 'value'), 'fresh', 'scale'] },
    `${SKIPPED}\n${byGroup(count, j => `average${j}[at] += fresh[0] * (value${j}[at] - average${j}[at]);`)}`,
    `numbers[${count - 1}]`,
  ),
);

/** Inputs: averages and variables, as many of each, the share of the variables, and the factor of the step that was made, NaN for none. */
define('LoomMovingAverage', AVERAGE.shaders, (inputs, _, backend) => {
  const list = Object.values(inputs);
  const count = (list.length - 2) / 2;
  AVERAGE.cut(backend.gpu.report, count, (shader, from, to) => {
    const averages = list.slice(from, to);
    const ends = endsOf(averages.map(sizeOf));
    const seen = [...list.slice(count + from, count + to), ...list.slice(-2)];
    backend.compute(shader, seen, averages, Uint32Array.from(ends), flat(ends.at(-1)!));
  });
  return [];
});

/** Numbers whose squares one thread adds. */
const PART = 256;

/** Squares added in parts; then `sumMiddle`. `numbers`: ends in parts, sizes, first part. */
const SQUARES = new Bundle(1, 2, count =>
  perItem(
    'gradient norm',
    { outputs: ['parts'], inputs: numbered(count, 'x') },
    byGroup(
      count,
      j => `
  var sum = 0.0;
  for (var i = at * ${PART}u; i < min(at * ${PART}u + ${PART}u, numbers[${count + j}]); i++) { sum += x${j}[i] * x${j}[i]; }
  parts[numbers[${2 * count}] + item] = sum;`,
    ),
    `numbers[${count - 1}]`,
  ),
);

/** A scalar: the sum of the squares of all tensors given. */
define(
  'LoomSquaredNorm',
  report => [...SQUARES.shaders(report), ...SUMS],
  (inputs, _, backend) => {
    const list = Object.values(inputs);
    const counts = list.map(x => Math.ceil(sizeOf(x) / PART));
    const all = counts.reduce((a, b) => a + b, 0);
    const parts = backend.output([all]);
    let first = 0;
    SQUARES.cut(backend.gpu.report, list.length, (shader, from, to) => {
      const some = list.slice(from, to);
      const ends = endsOf(counts.slice(from, to));
      const numbers = Uint32Array.of(...ends, ...some.map(sizeOf), first);
      backend.compute(shader, some, [parts], numbers, flat(ends.at(-1)!));
      first += ends.at(-1)!;
    });
    const sum = sumMiddle(backend, parts, 1, all, 1, []);
    backend.drop(parts);
    return sum;
  },
);

/** NaN once anything was not finite. `numbers`: 1, bits of the largest norm, 0 where no step was before. */
const CLIP = perItem(
  'clipping',
  {
    outputs: ['scale'],
    inputs: ['squared', 'loss', 'before'],
    before: 'fn finite(v: f32) -> bool { return (bitcast<u32>(v) & 0x7f800000u) != 0x7f800000u; }',
  },
  `
  let factor = min(1.0, bitcast<f32>(numbers[1]) / max(sqrt(squared[0]), 1e-12));
  let good = finite(squared[0]) && finite(loss[0]) && (numbers[2] == 0u || finite(before[0]));
  // A NaN of this hardware's own making could be taken for a number: its bits are read.
  scale[0] = select(bitcast<f32>(0x7fc00000u + 0u * numbers[0]), factor, good);`,
);

/**
 * The factor that brings gradients to a norm of at most `clip`, 1 where they are below; NaN when the norm or the loss is not finite, or the factor of
 * the step before was NaN.
 */
define('LoomClip', [CLIP], ({ squared, loss, before }, { clip }, backend: LoomGpuBackend) => {
  const scale: TensorInfo = backend.output([]);
  const numbers = Uint32Array.of(1, bits(clip), before ? 1 : 0);
  backend.compute(CLIP, [squared, loss, before ?? loss], [scale], numbers, [1]);
  return scale;
});
