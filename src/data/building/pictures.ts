/** Zoos of pictures: what the survey took becomes the plan. */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { orThrow, refuse } from '../../config/index.ts';
import { SPLITS } from '../split.ts';
import { sha256 } from '../zoo.ts';
import type { ZooBuildConfig } from './config.ts';
import { type PlannedTexture, plannedTiles, takeTurns, type ZooPlan } from './plan.ts';
import { drawPicture, type Survey, type SurveyedPicture } from './survey.ts';

const order = (name: string) => createHash('sha256').update(name).digest('hex');

/** The centre of a square picture [side, side, 3]. */
export function centre(picture: Float32Array, side: number, size: number): Float32Array {
  const from = (side - size) >> 1;
  const out = new Float32Array(size * size * 3);
  for (let y = 0; y < size; y++) {
    const start = ((from + y) * side + from) * 3;
    out.set(picture.subarray(start, start + size * 3), y * size * 3);
  }
  return out;
}

/** A picture as it was surveyed, drawn from its file; refused when that has changed since. */
function planned(picture: SurveyedPicture, target: number): PlannedTexture {
  const { name, path, group, split, row, width, height, pixelsPerTexel } = picture;
  return {
    name,
    group,
    split,
    provenance: {
      file: path.split(/[\\/]/).at(-1),
      sha256: picture.sha256,
      source: row?.source ?? null,
      licence: row?.licence ?? null,
      pixels: [width, height],
      pixelsPerTexel,
      ...(picture.doubt === null ? {} : { doubt: picture.doubt }),
    },
    async draw(size) {
      const bytes = await readFile(path);
      if (sha256(bytes) !== picture.sha256)
        refuse(path, 'the picture that was surveyed', 'another one (SHA-256)');
      const { data } = orThrow(await drawPicture(path, bytes, target, pixelsPerTexel));
      return size === target ? data : centre(data, target, size);
    },
  };
}

/** Splits take turns, in an order that hashes give: neighbours by name are often alike. */
export function planPictures(config: ZooBuildConfig, survey: Survey): ZooPlan {
  const { kept, target } = config.picture;
  if (kept > target)
    refuse('zoo configuration', `at most picture.target, ${target}`, `${kept}`, { field: 'picture.kept' });
  const all = survey.taken
    .map(picture => planned(picture, target))
    .sort((a, b) => (order(a.name) < order(b.name) ? -1 : 1));
  const textures = takeTurns(SPLITS.map(split => all.filter(one => one.split === split)));
  return {
    textures,
    baseTiles: tile =>
      config.base === 'none' ? Promise.resolve([]) : plannedTiles(textures, config.base.textures, tile),
  };
}
