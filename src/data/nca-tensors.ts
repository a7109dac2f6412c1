/**
 * An NCA among the tensors of a file that somebody else wrote: by names and shapes, in any order, beside other tensors. Two layers make an NCA, w1
 * [hidden, filters x channels] and w2 [channels, hidden], each a matrix or a convolution of 1 x 1, and their biases.
 */
import { orThrow, refuse } from '../config/index.ts';
import { type NdArray, shapeText, type TensorInfo } from '../formats/index.ts';
import {
  FILTERS,
  type NcaSpec,
  type NcaWeights,
  ncaWeights,
  weightBlocks,
  weightCount,
} from '../nca/index.ts';
import { type GivenSpec, specFor } from './spec-option.ts';

/** Which tensor holds what. */
export interface FoundNca {
  readonly spec: NcaSpec;
  /** Names of the tensors of w1, b1, w2(, b2). */
  readonly names: readonly string[];
  /** For each column of a row of our w1, channel-major over all filters, the column in the file, or -1 for zeros. */
  readonly columns: readonly number[];
}

const FLOATS = new Set<unknown>(['f16', 'bf16', 'f32', 'f64']);

/** [o, i], also of a 1 x 1 convolution; undefined for anything else. */
function matrixOf({ type, shape }: TensorInfo): readonly [rows: number, columns: number] | undefined {
  const [rows, columns, ...kernel] = shape;
  if (!FLOATS.has(type) || shape.length < 2 || shape.length > 5 || kernel.some(n => n !== 1))
    return undefined;
  return [rows, columns];
}

/** Length of a vector, whatever axes of one it has besides. */
function lengthOf({ type, shape }: TensorInfo): number | undefined {
  const long = shape.filter(n => n !== 1);
  return FLOATS.has(type) && shape.length > 0 && long.length <= 1 ? (long[0] ?? 1) : undefined;
}

interface Layers {
  readonly w1: string;
  readonly w2: string;
  readonly channels: number;
  readonly hidden: number;
}

/** All pairs of matrices that fit one another as the two layers. */
function pairsOf(tensors: ReadonlyMap<string, TensorInfo>, filters: number): Layers[] {
  const matrices = [...tensors].flatMap(([name, info]) => {
    const matrix = matrixOf(info);
    return matrix ? [{ name, rows: matrix[0], columns: matrix[1] }] : [];
  });
  const byColumns = new Map<number, typeof matrices>();
  for (const matrix of matrices) {
    const list = byColumns.get(matrix.columns);
    if (list) list.push(matrix);
    else byColumns.set(matrix.columns, [matrix]);
  }
  const pairs: Layers[] = [];
  for (const first of matrices) {
    for (const second of byColumns.get(first.rows) ?? []) {
      if (second.name === first.name || second.rows < 3 || second.rows * filters !== first.columns) continue;
      pairs.push({ w1: first.name, w2: second.name, channels: second.rows, hidden: first.rows });
      // No file of one NCA has as many: the rest would only be counted.
      if (pairs.length > 100) return pairs;
    }
  }
  return pairs;
}

/** Name of the bias that belongs to a layer: by PyTorch or by us. */
const biasNames = (layer: string): string[] => [
  ...(/(^|\.)weight$/.test(layer) ? [layer.replace(/weight$/, 'bias')] : []),
  ...(/(^|[._])w[12]$/.test(layer) ? [layer.replace(/w([12])$/, 'b$1')] : []),
];

function biasOf(tensors: ReadonlyMap<string, TensorInfo>, layer: string, length: number): string | undefined {
  return biasNames(layer).find(name => {
    const info = tensors.get(name);
    return info !== undefined && lengthOf(info) === length;
  });
}

const listed = (tensors: ReadonlyMap<string, TensorInfo>) =>
  [...tensors]
    .slice(0, 12)
    .map(([name, { shape }]) => `${name} ${shapeText(shape)}`)
    .join(', ') || 'no tensors';

/** The pair of layers that is the NCA; refuses none and several. */
function layersOf(tensors: ReadonlyMap<string, TensorInfo>, filters: number, where: string): Layers {
  const pairs = pairsOf(tensors, filters);
  if (pairs.length === 0) {
    const fewer = [1, 2, 3].find(n => n !== filters && pairsOf(tensors, n).length > 0);
    const hint = fewer
      ? `Its perception seems to have ${fewer} filters: name them in a file for --spec, as in "filters: [${FILTERS.slice(0, fewer).join(', ')}]".`
      : undefined;
    const expected = `layers w1 [hidden, ${filters} x channels] and w2 [channels, hidden] of floating-point numbers`;
    return refuse(where, expected, listed(tensors), { hint });
  }
  const named = pairs.filter(({ w1, w2 }) => w1.replace(/w1(\.weight)?$/, 'w2$1') === w2);
  const [layers, ...others] = named.length > 0 ? named : pairs;
  if (others.length > 0) {
    const found = [layers, ...others].slice(0, 4).map(({ w1, w2 }) => `${w1} with ${w2}`);
    refuse(where, 'one NCA', `several pairs of layers (${found.join(', ')})`, {
      hint: 'Name the part of the file that holds it, as in file.pt#model.',
    });
  }
  return layers;
}

/** Finds the NCA by the names and shapes of the tensors alone. */
export function findNca(
  tensors: ReadonlyMap<string, TensorInfo>,
  given: GivenSpec | undefined,
  where: string,
): FoundNca {
  const filters = given?.filters ?? FILTERS;
  const { w1, w2, channels, hidden } = layersOf(tensors, filters.length, where);
  const b1 = biasOf(tensors, w1, hidden);
  if (b1 === undefined) {
    const vectors = new Map([...tensors].filter(([, info]) => lengthOf(info) === hidden));
    refuse(where, `the bias of ${w1} (${biasNames(w1).join(' or ') || 'b1'} ${hidden})`, listed(vectors));
  }
  const b2 = biasOf(tensors, w2, channels);
  const spec = specFor({ channels, hidden, outputBias: b2 !== undefined }, given, where);
  const columns = Array.from({ length: channels * FILTERS.length }, (_, column) => {
    const [c, f] = [Math.floor(column / FILTERS.length), column % FILTERS.length];
    const k = (filters as readonly string[]).indexOf(FILTERS[f]);
    if (k < 0) return -1;
    return given?.columns === 'filter-major' ? k * channels + c : c * filters.length + k;
  });
  return { spec, names: [w1, b1!, w2, ...(b2 === undefined ? [] : [b2])], columns };
}

/** The weights out of the tensors found. */
export function assembleNca(
  { spec, names, columns }: FoundNca,
  tensors: Readonly<Record<string, NdArray>>,
  where: string,
): NcaWeights {
  const flat = new Float32Array(weightCount(spec));
  for (const [i, { name, offset, size }] of weightBlocks(spec).entries()) {
    const { data } = tensors[names[i]];
    if (name !== 'w1') {
      flat.set(data.subarray(0, size), offset);
      continue;
    }
    const stored = data.length / spec.hidden;
    for (let h = 0; h < spec.hidden; h++) {
      for (const [column, from] of columns.entries())
        flat[offset + h * columns.length + column] = from < 0 ? 0 : data[h * stored + from];
    }
  }
  return orThrow(ncaWeights(spec, flat, where));
}
