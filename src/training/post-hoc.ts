/** Moving averages of any width after training, from those kept with the checkpoints (Karras et al. 2024, section 3.2). */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { refuse, settle } from '../config/index.ts';
import { readSafetensors } from '../formats/index.ts';
import { type AverageProfile, reconstruction } from './averages.ts';

/** Profiles that differ by more than this share are not the average that was asked for. */
const POOR = 0.1;

/**
 * The average of relative width `sigmaRel` at the end of a run that kept its averages (`keepAverages`).
 *
 * @param folder that of the checkpoints
 * @returns values by name: `denoiser/NAME` and `encoder/NAME`
 * @throws UserError when no averages were kept, or those kept do not give this width
 */
export async function averageOfWidth(
  folder: string,
  sigmaRel: number,
): Promise<Record<string, Float32Array>> {
  const kept = join(folder, 'averages');
  const files = existsSync(kept)
    ? readdirSync(kept).filter(name => /^step-\d+\.safetensors$/.test(name))
    : [];
  if (files.length === 0) {
    return refuse(kept, 'moving averages kept during training', 'none', {
      hint: 'Train with checkpoint.keepAverages=true.',
    });
  }
  const profiles: (AverageProfile & { path: string })[] = [];
  for (const name of files.sort()) {
    const path = join(kept, name);
    const { tensors } = await settle(readSafetensors(path));
    const widths = new Set(Object.keys(tensors).map(key => Number(key.split('/')[0])));
    for (const width of widths) profiles.push({ path, sigmaRel: width, step: Number(name.slice(5, -12)) });
  }
  const last = Math.max(...profiles.map(({ step }) => step));
  const { factors, error } = reconstruction(profiles, { sigmaRel, step: last });
  if (error > POOR)
    return refuse(
      kept,
      `averages that a width of ${sigmaRel} can be put together from, to ${100 * POOR} %`,
      `${profiles.length} that come to ${(100 * error).toFixed(0)} %`,
      { hint: 'Keep averages more often, or of other widths: training.averages.' },
    );
  const sums: Record<string, Float64Array> = {};
  for (const [i, { path, sigmaRel: width }] of profiles.entries()) {
    const { tensors } = await settle(readSafetensors(path));
    for (const [key, { data }] of Object.entries(tensors)) {
      if (!key.startsWith(`${width}/`)) continue;
      const name = key.slice(key.indexOf('/') + 1);
      sums[name] ??= new Float64Array(data.length);
      for (let k = 0; k < data.length; k++) sums[name][k] += factors[i] * Number(data[k]);
    }
  }
  return Object.fromEntries(Object.entries(sums).map(([name, sum]) => [name, Float32Array.from(sum)]));
}
