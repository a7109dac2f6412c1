/** What a model grows in the middle of its training. */
import { renderNcas } from '../../data/index.ts';
import { sampleWeights } from '../../diffusion/index.ts';
import { renderGallery } from '../../report/index.ts';
import { tf } from '../../tensor/index.ts';
import { renderingSteps } from '../study.ts';
import type { TrainingJob } from './job.ts';

/** Targets above the pictures of NCAs sampled for them. */
export async function trainingPreview(job: TrainingJob) {
  const { study, encoder, config } = job;
  const { heldOut, size, spec } = study;
  const count = Math.min(config.preview!.textures, heldOut.names.length);
  const features = encoder && tf.slice(heldOut.features, [0, 0, 0], [count, -1, -1]);
  const weights = await sampleWeights({
    ...job,
    features,
    count: encoder ? 1 : count,
    seed: config.seed,
    guidance: { scale: config.guidance },
  });
  features?.dispose();
  const steps = config.preview!.ncaSteps ?? renderingSteps(study.zoo);
  const grown = await renderNcas(spec, weights, { steps, size, seed: config.seed });
  const targets = (await heldOut.pictures.data()) as Float32Array;
  const pixels = size * size * 3;
  const rows = [
    Array.from({ length: count }, (_, i) => ({
      width: size,
      height: size,
      data: targets.slice(i * pixels, (i + 1) * pixels),
    })),
    grown,
  ];
  const png = Buffer.from(
    await renderGallery({ columns: heldOut.names.slice(0, count), rows: ['target', 'sample'], cells: rows }),
  );
  return { png, ...pngSize(png) };
}

/** Width and height from a PNG's first chunk. */
const pngSize = (png: Buffer) => ({ width: png.readUInt32BE(16), height: png.readUInt32BE(20) });
