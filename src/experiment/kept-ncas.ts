/**
 * NCAs that a run keeps, so that they can be grown again: one for each column (a method, or a noise level of a sampling) and each texture. The file is one of
 * `writeWeights`' form, column by column, so that every command takes a row of it: `run/weights.safetensors#37`.
 */
import * as t from 'io-ts';
import { decode, orThrow, refuse, settle } from '../config/index.ts';
import { parseJson, readSafetensorsHeader, writeSafetensors } from '../formats/index.ts';
import { type NcaSpec, NcaSpecCodec, weightCount } from '../nca/index.ts';

/** A comparison's methods, in a run folder. */
export const KEPT_METHODS = 'weights.safetensors';
/** How a run's samples came into being, in its folder. */
export const KEPT_TRAJECTORY = 'trajectory.safetensors';

const Kept = t.strict({
  kind: t.keyof({ methods: null, trajectory: null }),
  /** What was sampled by whom, in words; for methods the experiment. */
  label: t.string,
  columns: t.array(
    t.intersection([
      t.strict({ name: t.string }),
      t.partial({
        kind: t.keyof({ denoiser: null, baseline: null, bound: null }),
        /** Noise level of a trajectory's column; 0 for the sample itself. */
        sigma: t.number,
      }),
    ]),
  ),
  textures: t.array(t.string),
  /** NCA steps to the picture that was measured, its side, and the mask seed of every texture. */
  steps: t.number,
  size: t.number,
  seeds: t.array(t.number),
});
/** What stands in which row of kept NCAs: row c * textures + i is column c's NCA for texture i. */
export type KeptNcas = t.TypeOf<typeof Kept>;

/** Writes kept NCAs [columns * textures, D], with the pictures [textures, size, size, 3] in [0, 1] they were to match where there are any. */
export async function writeKeptNcas(
  path: string,
  spec: NcaSpec,
  kept: KeptNcas,
  weights: readonly Float32Array[],
  targets?: Float32Array,
): Promise<void> {
  const size = weightCount(spec);
  const rows = kept.columns.length * kept.textures.length;
  async function* chunks() {
    yield* weights;
  }
  await settle(
    writeSafetensors(
      path,
      {
        weights: { shape: [rows, size], chunks: chunks() },
        ...(targets && {
          targets: {
            shape: [kept.textures.length, kept.size, kept.size, 3],
            data: Uint8Array.from(targets, x => Math.round(255 * Math.min(1, Math.max(0, x)))),
          },
        }),
      },
      { spec: JSON.stringify(spec), kept: JSON.stringify(kept) },
    ),
  );
}

/**
 * What a file of kept NCAs says of itself, its numbers left where they are.
 * @throws UserError when the file is not there, or not one of kept NCAs
 */
export async function readKeptNcas(
  path: string,
): Promise<{ readonly spec: NcaSpec; readonly kept: KeptNcas; readonly targets: boolean }> {
  const { metadata, entries } = await settle(readSafetensorsHeader(path));
  const part = (name: string) =>
    parseJson(
      metadata[name] ?? refuse(path, `kept NCAs, with ${name} in their metadata`, 'none'),
      `${path} (metadata ${name})`,
    );
  const spec = orThrow(decode(NcaSpecCodec, part('spec'), `${path} (metadata spec)`));
  const kept = orThrow(decode(Kept, part('kept'), `${path} (metadata kept)`));
  const { columns, textures, seeds, size } = kept;
  const expect = (name: string, shape: readonly number[]) => {
    const found = entries.get(name);
    if (found?.shape.join() === shape.join()) return;
    refuse(path, `a tensor of shape [${shape}]`, found ? `[${found.shape}]` : 'none', { field: name });
  };
  expect('weights', [columns.length * textures.length, weightCount(spec)]);
  if (seeds.length !== textures.length)
    refuse(path, `${textures.length} seeds`, `${seeds.length}`, { field: 'seeds' });
  const targets = entries.has('targets');
  if (targets) expect('targets', [textures.length, size, size, 3]);
  return { spec, kept, targets };
}
