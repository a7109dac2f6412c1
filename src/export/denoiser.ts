/** A trained denoiser for other programs: its tensors as safetensors, and a manifest that names every one. */
import { join } from 'node:path';
import type * as TE from 'fp-ts/lib/TaskEither.js';
import { about, attempt, type Failure, settle } from '../config/index.ts';
import { readModel } from '../experiment/index.ts';
import { type NdArray, writeAtomically, writeFolderAtomically, writeSafetensors } from '../formats/index.ts';
import { weightBlocks } from '../nca/index.ts';
import type { tf } from '../tensor/index.ts';

/** Names of the files of an exported denoiser. */
export const DENOISER_FILES = { tensors: 'denoiser.safetensors', manifest: 'manifest.json' };

/** What is said of a group of tensors. */
const ROLES = {
  denoiser: 'variable of the denoiser; linear weights are [in, out]: y = x W + b',
  buffer: 'running statistic of the denoiser, not trained',
  encoder: 'variable of the trained part of the texture encoder',
  normaliser: 'normalised weights = (weights - mean) * scale, per coordinate of the flat order',
  standardiser: 'standardised features = (features - mean) / std',
  anchor: "normalised weights of the zoo's base NCA, an input of anchored denoisers",
} as const;
type Role = keyof typeof ROLES;

/**
 * Writes a trained model's run as a folder: denoiser.safetensors with every tensor, and manifest.json with what each is, the denoiser's
 * configuration, its inputs and output, the NCA spec and the diffusion process.
 * @param run folder of `weightloom train`
 * @returns how many tensors and numbers were written
 */
export const exportDenoiser = (
  run: string,
  folder: string,
): TE.TaskEither<Failure, { readonly tensors: number; readonly numbers: number }> =>
  attempt(folder, async () => {
    const model = await readModel(run);
    try {
      const tensors: Record<string, NdArray<Float32Array>> = {};
      const listed: { name: string; role: Role; dtype: 'float32'; shape: readonly number[] }[] = [];
      const add = (role: Role, name: string, shape: readonly number[], data: Float32Array) => {
        tensors[name] = { shape, data };
        listed.push({ name, role, dtype: 'float32', shape });
      };
      const addAll = async (role: Role, variables: Readonly<Record<string, tf.Variable>> = {}) => {
        for (const [name, variable] of Object.entries(variables)) {
          add(role, `${role}/${name}`, variable.shape, (await variable.data()) as Float32Array);
        }
      };
      const { denoiser, encoder, normaliser, standardiser, anchor, spec, config } = model;
      await addAll('denoiser', denoiser.variables);
      await addAll('buffer', denoiser.buffers);
      await addAll('encoder', encoder?.variables);
      const vectors: [Role, string, Float32Array | undefined][] = [
        ['normaliser', 'normaliser/mean', normaliser.mean],
        ['normaliser', 'normaliser/scale', normaliser.scale],
        ['standardiser', 'standardiser/mean', standardiser?.mean],
        ['standardiser', 'standardiser/std', standardiser?.std],
        ['anchor', 'anchor', anchor ?? undefined],
      ];
      for (const [role, name, data] of vectors) if (data) add(role, name, [data.length], data);
      const size = weightBlocks(spec).reduce((sum, block) => sum + block.size, 0);
      const manifest = {
        format: 'weightloom-denoiser',
        producer: { name: 'weightloom', version: about.version },
        denoiser: { ...config.denoiser, symmetries: denoiser.symmetries },
        inputs: {
          weights: {
            shape: ['batch', size],
            about: 'noisy normalised weights, scaled by c_in; flat order below',
          },
          noiseLabel: { shape: ['batch'], about: 'c_noise of the diffusion process' },
          condition: encoder && {
            shape: ['batch', encoder.tokens, encoder.width],
            about: "the encoder's tokens",
          },
        },
        output: { shape: ['batch', size], about: 'the raw network output F' },
        flatOrder: weightBlocks(spec),
        spec,
        diffusion: config.diffusion,
        encoder: config.encoder,
        roles: ROLES,
        tensors: listed,
      };
      await settle(
        writeFolderAtomically(folder, async temporary => {
          await settle(writeSafetensors(join(temporary, DENOISER_FILES.tensors), tensors, { format: 'pt' }));
          await settle(
            writeAtomically(
              join(temporary, DENOISER_FILES.manifest),
              `${JSON.stringify(manifest, null, 2)}\n`,
            ),
          );
        }),
      );
      return {
        tensors: listed.length,
        numbers: Object.values(tensors).reduce((sum, { data }) => sum + data.length, 0),
      };
    } finally {
      model.denoiser.dispose();
      model.encoder?.dispose();
    }
  });
