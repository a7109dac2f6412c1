/** Trainings that ran away: NCAs that do not show their texture, or lose it when they run on. */
import type { Picture } from '../../formats/index.ts';
import { type NcaSpec, patchSlicedWasserstein } from '../../nca/index.ts';
import { onProcessorNow, randomStream, tf } from '../../tensor/index.ts';
import { renderNcas } from '../render.ts';
import type { ZooBuildConfig } from './config.ts';

/** A value of a picture is far outside [0, 1] beyond this. */
const MARGIN = 0.25;
/** How much longer a picture has to hold. */
const LONGER = 4;

export interface Verdict {
  /** Texture loss of the picture after the rendering's steps, with projections of its own. */
  readonly loss: number;
  /** What is wrong; null when nothing is. */
  readonly fault: string | null;
}

export const stackPictures = (pictures: readonly Float32Array[], size: number): tf.Tensor4D => {
  const data = new Float32Array(pictures.length * size * size * 3);
  for (const [i, picture] of pictures.entries()) data.set(picture, i * picture.length);
  return tf.tensor4d(data, [pictures.length, size, size, 3]);
};

const clipped = (x: number) => Math.min(1, Math.max(0, x));

/** Texture loss of finished pictures against their targets, clipped as they are shown. */
function lossesOf(
  config: ZooBuildConfig,
  pictures: readonly Picture[],
  targets: readonly Float32Array[],
  side: number,
): number[] {
  return onProcessorNow(() =>
    tf.tidy(() => {
      const { bank: _, ...settings } = config.training.loss;
      const loss = patchSlicedWasserstein(settings).prepare(stackPictures(targets, side));
      const shown = stackPictures(
        pictures.map(({ data }) => data.map(clipped)),
        pictures[0].width,
      );
      return Array.from(loss.loss(shown, randomStream(config.seed, 'final loss')).dataSync());
    }),
  );
}

/**
 * Judges NCAs by their pictures.
 * @param weights [n * D]
 * @param targets n pictures [side, side, 3]; `side` is that of the pictures NCAs are trained on unless it is given
 */
export async function judgeNcas(
  config: ZooBuildConfig,
  spec: NcaSpec,
  weights: Float32Array,
  targets: readonly Float32Array[],
  side = config.picture.target,
): Promise<Verdict[]> {
  const { steps, seed } = config.rendering;
  const size = config.picture.kept;
  const shown = await renderNcas(spec, weights, { steps, size, seed });
  const losses = lossesOf(config, shown, targets, side);
  const { runaways } = config;
  if (!runaways) return losses.map(loss => ({ loss, fault: null }));
  const later = await renderNcas(spec, weights, { steps: LONGER * steps, size, seed, clip: false });
  const laterLosses = lossesOf(config, later, targets, side);
  return losses.map((loss, i) => {
    const values = later[i].data;
    const far = values.reduce((n, x) => n + Number(!(x > -MARGIN && x < 1 + MARGIN)), 0) / values.length;
    const fault = !(loss <= runaways.loss)
      ? `loss ${loss.toPrecision(3)} after ${steps} steps`
      : far > runaways.saturated
        ? `${Math.round(100 * far)} % saturated after ${LONGER * steps} steps`
        : !(laterLosses[i] <= runaways.loss)
          ? `loss ${laterLosses[i].toPrecision(3)} after ${LONGER * steps} steps`
          : null;
    return { loss, fault };
  });
}
