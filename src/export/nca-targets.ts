/** Trained NCAs as files of other programs: what each kind of file can hold, and how it is written. */
import { join } from 'node:path';
import * as E from 'fp-ts/lib/Either.js';
import type * as TE from 'fp-ts/lib/TaskEither.js';
import {
  buildGraph,
  EDGE_COLUMNS,
  NODE_COLUMNS,
  ncaNetwork,
  toGexf,
  toGraphml,
  toTensors,
} from '../../graphs/index.ts';
import { attempt, type Failure, failure, orThrow, settle } from '../config/index.ts';
import { fileNames, writeWeights } from '../data/index.ts';
import {
  encodeNpyStrings,
  encodeOnnx,
  encodeTorchState,
  type NdArray,
  writeAtomically,
  writeFolderAtomically,
  writeNpy,
  writeSafetensors,
} from '../formats/index.ts';
import { blockOf, type NcaSpec, type NcaWeights, weightBlocks } from '../nca/index.ts';
import { ncaOnnx } from './nca-onnx.ts';

/** An NCA and what it is called. */
export interface NamedNca {
  readonly name: string;
  readonly weights: NcaWeights;
}

interface Target {
  /** One sentence for --help. */
  readonly about: string;
  /** What of a spec the file has no place for, in words; undefined when it holds everything. */
  missing(spec: NcaSpec): string | undefined;
  /** Ending of its files. Several NCAs are a folder of them, unless `set` writes them as one. */
  readonly ending: string;
  write?(path: string, nca: NamedNca): Promise<void>;
  set?(folder: string, ncas: readonly NamedNca[]): Promise<void>;
}

const holdsAll = () => undefined;

/** A file of bare weights is read as the plain NCA: no clips, filters as they are. */
function onlyWeights({ clip, filterScale }: NcaSpec): string | undefined {
  const clips = Object.entries(clip).filter(([, limit]) => limit !== null);
  if (clips.length > 0) return `clips of the ${clips.map(([name]) => name).join(', ')}`;
  return filterScale === 1 ? undefined : `a filter scale of ${filterScale}`;
}

const blocks = ({ spec, flat }: NcaWeights): Record<string, NdArray<Float32Array>> =>
  Object.fromEntries(
    weightBlocks(spec).map(({ name, shape }) => [name, { shape, data: blockOf(spec, flat, name).slice() }]),
  );

/** What the graph itself does not say of its NCA. */
const globalFeatures = ({ filterScale, clip, rgb }: NcaSpec): Record<string, number> => ({
  filterScale,
  ...Object.fromEntries(Object.entries(clip).map(([name, limit]) => [`clip ${name} (0: none)`, limit ?? 0])),
  'rgb scale': rgb.scale,
  'rgb offset': rgb.offset,
});

const graphOf = ({ spec, flat }: NcaWeights) =>
  buildGraph(ncaNetwork(spec), flat, { global: Object.values(globalFeatures(spec)) });

const textTarget = (
  about: string,
  ending: string,
  encode: (nca: NamedNca) => Uint8Array | string,
): Target => ({
  about,
  missing: holdsAll,
  ending,
  write: (path, nca) => settle(writeAtomically(path, encode(nca))),
});

const TARGETS = {
  torch: {
    about: 'a PyTorch state dictionary w1, b1, w2(, b2): torch.load(path, weights_only=True)',
    missing: onlyWeights,
    ending: '.pt',
    write: async (path, { weights }) =>
      settle(writeAtomically(path, await encodeTorchState(blocks(weights)))),
  },
  npy: {
    about: 'a folder with w1.npy, b1.npy, w2.npy [N, ...] and texture_names.npy, as `zoo import` takes it',
    missing: spec => (spec.outputBias ? 'an output bias b2' : onlyWeights(spec)),
    ending: '',
    set: writeNpyFolder,
  },
  onnx: textTarget(
    'one step as an ONNX graph: state [batch, channels, height, width] and mask to next state and picture',
    '.onnx',
    ({ weights }) => encodeOnnx(ncaOnnx(weights)),
  ),
  safetensors: {
    about: 'the flat weights, with the spec as JSON in the metadata: what weightloom itself reads',
    missing: holdsAll,
    ending: '.safetensors',
    write: (path, { weights }) => settle(writeWeights(path, weights)),
  },
  geometric: {
    about: "the parameter graph's x, edge_index, edge_attr and u for torch_geometric, as safetensors",
    missing: holdsAll,
    ending: '.safetensors',
    write: (path, { weights }) =>
      settle(
        writeSafetensors(
          path,
          { ...toTensors(graphOf(weights)) },
          {
            format: 'pt',
            spec: JSON.stringify(weights.spec),
            x: NODE_COLUMNS.join(', '),
            edge_attr: EDGE_COLUMNS.join(', '),
            u: Object.keys(globalFeatures(weights.spec)).join(', '),
          },
        ),
      ),
  },
  gexf: textTarget('the parameter graph for Gephi and NetworkX', '.gexf', ({ weights }) =>
    toGexf(graphOf(weights)),
  ),
  graphml: textTarget('the parameter graph for yEd, NetworkX and igraph', '.graphml', ({ weights }) =>
    toGraphml(graphOf(weights)),
  ),
} satisfies Record<string, Target>;

/** What NCAs can be exported to. */
export type NcaTarget = keyof typeof TARGETS;
/** All targets of NCAs. */
export const NCA_TARGETS = Object.keys(TARGETS) as NcaTarget[];
/** What a target is, in one sentence. */
export const ncaTargetAbout = (target: NcaTarget): string => TARGETS[target].about;

async function writeNpyFolder(folder: string, ncas: readonly NamedNca[]): Promise<void> {
  const [{ weights }] = ncas;
  await settle(
    writeFolderAtomically(folder, async temporary => {
      for (const { name, shape, size } of weightBlocks(weights.spec)) {
        const data = new Float32Array(ncas.length * size);
        ncas.forEach(({ weights: { spec, flat } }, i) => {
          data.set(blockOf(spec, flat, name), i * size);
        });
        await settle(writeNpy(join(temporary, `${name}.npy`), { shape: [ncas.length, ...shape], data }));
      }
      await settle(
        writeAtomically(
          join(temporary, 'texture_names.npy'),
          encodeNpyStrings({ shape: [ncas.length], data: ncas.map(({ name }) => name) }),
        ),
      );
    }),
  );
}

/** Whether a target can hold NCAs of a spec. */
export function fits(target: NcaTarget, spec: NcaSpec): E.Either<Failure, void> {
  const missing = TARGETS[target].missing(spec);
  return missing === undefined
    ? E.right(undefined)
    : E.left(
        failure(
          `export --to ${target}`,
          'an NCA of bare weights',
          `the spec ${spec.name}, which has ${missing}`,
          {
            hint: 'onnx and safetensors hold all of it.',
          },
        ),
      );
}

/**
 * Writes NCAs of one spec. One NCA is one file at `path`; several are a folder of files named for them, or what the target has for
 * sets. A set is refused whole before anything is written.
 * @returns the paths written
 */
export const exportNcas = (
  target: NcaTarget,
  path: string,
  ncas: readonly NamedNca[],
  one: boolean,
): TE.TaskEither<Failure, string[]> =>
  attempt(path, async () => {
    const { write, set, ending }: Target = TARGETS[target];
    orThrow(fits(target, ncas[0].weights.spec));
    if (set) {
      await set(path, ncas);
      return [path];
    }
    if (one) {
      await write!(path, ncas[0]);
      return [path];
    }
    const files = fileNames(ncas.map(({ name }) => name)).map(name => `${name}${ending}`);
    await settle(
      writeFolderAtomically(path, async temporary => {
        for (const [i, nca] of ncas.entries()) await write!(join(temporary, files[i]), nca);
      }),
    );
    return files.map(name => join(path, name));
  });
