/** One step of an NCA as an ONNX graph: perception, hidden units, update, mask and clips, as src/nca/spec.ts defines them. */
import { about } from '../config/index.ts';
import type { NdArray, OnnxModel, OnnxNode } from '../formats/index.ts';
import { blockOf, FILTER_KERNELS, FILTERS, type NcaSpec, type NcaWeights } from '../nca/index.ts';

/** Opset 13 (2020) has every operator used here in its present form. */
const OPSET = 13;

/**
 * What `encodeOnnx` writes to an .onnx file. Inputs: `state` [batch, channels, height, width] and `mask` [batch, 1, height, width], 1 where a cell is
 * updated and 0 where not. Outputs: `next`, the state after the step, and `picture` [batch, 3, height, width] of that state. The
 * grid is a torus of any size from 1 x 1; one NCA, the same for the whole batch. The spec is in the metadata, as JSON.
 */
export function ncaOnnx({ spec, flat }: NcaWeights): OnnxModel {
  const { channels, hidden, clip, rgb, outputBias } = spec;
  const inputs = FILTERS.length * channels;
  const constants: Record<string, NdArray<Float32Array | BigInt64Array>> = {};
  const nodes: OnnxNode[] = [];
  const put = (
    op: string,
    args: readonly string[],
    output: string,
    attributes: OnnxNode['attributes'] = {},
  ): string => {
    nodes.push({ op, inputs: args, outputs: [output], attributes });
    return output;
  };
  const numbers = (name: string, data: Float32Array, shape: readonly number[] = []): string => {
    constants[name] = { shape, data };
    return name;
  };
  const scalar = (name: string, value: number) => numbers(name, Float32Array.of(value));
  const indices = (name: string, ...values: number[]): string => {
    constants[name] = { shape: [values.length], data: BigInt64Array.from(values, BigInt) };
    return name;
  };
  const clipped = (x: string, limit: number | null, low = limit === null ? 0 : -limit): string =>
    limit === null
      ? x
      : put('Clip', [x, scalar(`${x}_low`, low), scalar(`${x}_high`, limit)], `${x}_clipped`);
  const slice = (x: string, output: string, from: number, to: number, axis: number) =>
    put(
      'Slice',
      [x, indices(`${output}_from`, from), indices(`${output}_to`, to), indices(`${output}_axis`, axis)],
      output,
    );

  // A torus: the last row before the first, the first behind the last; columns alike.
  let around = 'state';
  for (const [name, axis] of [
    ['rows', 2],
    ['columns', 3],
  ] as const) {
    const last = slice(around, `last_${name}`, -1, Number.MAX_SAFE_INTEGER, axis);
    const first = slice(around, `first_${name}`, 0, 1, axis);
    around = put('Concat', [last, around, first], `with_${name}`, { axis: { int: axis } });
  }
  const filters = numbers('filters', perceptionFilters(spec), [inputs, 1, 3, 3]);
  const perception = clipped(
    put('Conv', [around, filters], 'perception', { group: { int: channels } }),
    clip.perception,
  );
  const layer = (x: string, name: string, shape: readonly number[], weight: string, bias: string | null) =>
    put('Conv', [x, weight, ...(bias === null ? [] : [bias])], name, {
      kernel_shape: { ints: shape.slice(2) },
    });
  const w1Shape = [hidden, inputs, 1, 1];
  const w2Shape = [channels, hidden, 1, 1];
  const w1 = numbers('w1', blockOf(spec, flat, 'w1'), w1Shape);
  const b1 = numbers('b1', blockOf(spec, flat, 'b1'), [hidden]);
  const w2 = numbers('w2', blockOf(spec, flat, 'w2'), w2Shape);
  const b2 = outputBias ? numbers('b2', blockOf(spec, flat, 'b2'), [channels]) : null;
  const units = clipped(put('Relu', [layer(perception, 'sums', w1Shape, w1, b1)], 'units'), clip.hidden, 0);
  const update = clipped(layer(units, 'update', w2Shape, w2, b2), clip.update);
  const sum = put('Add', ['state', put('Mul', [update, 'mask'], 'masked')], 'sum');
  put('Identity', [clipped(sum, clip.state)], 'next');
  const visible = slice('next', 'visible', 0, 3, 1);
  put(
    'Add',
    [put('Mul', [visible, scalar('rgb_scale', rgb.scale)], 'scaled'), scalar('rgb_offset', rgb.offset)],
    'picture',
  );

  const grid = ['batch', channels, 'height', 'width'];
  return {
    name: spec.name,
    about: `One step of a neural cellular automaton on a torus (${channels} channels, ${hidden} hidden units)`,
    opset: OPSET,
    inputs: [
      { name: 'state', shape: grid, about: 'cells; the first three channels make the picture' },
      { name: 'mask', shape: ['batch', 1, 'height', 'width'], about: '1 where a cell is updated, else 0' },
    ],
    outputs: [
      { name: 'next', shape: grid, about: 'the state after the step' },
      {
        name: 'picture',
        shape: ['batch', 3, 'height', 'width'],
        about: 'RGB of it, [0, 1] where it is in range',
      },
    ],
    constants,
    nodes,
    metadata: { spec: JSON.stringify(spec) },
    producer: { name: 'weightloom', version: about.version },
  };
}

/** [4 channels, 1, 3, 3], four filters per channel, their scale in them. */
function perceptionFilters({ channels, filterScale }: NcaSpec): Float32Array {
  const one = FILTER_KERNELS.flatMap((kernel, f) => kernel.map(x => (f === 0 ? x : x * filterScale)));
  return Float32Array.from({ length: channels * one.length }, (_, i) => one[i % one.length]);
}
