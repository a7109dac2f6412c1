/** Which textures a zoo has: names, families, parameters and split, all from the configuration. */
import { randomStream } from '../../tensor/index.ts';
import { drawTexture, type Parameters, sampleParameters, textureFamilies } from '../textures/index.ts';
import type { Split } from '../zoo.ts';
import type { ZooBuildConfig } from './config.ts';

/** A texture of a zoo to be: everything that draws it, before anything is drawn. */
export interface PlannedTexture {
  /** The family and a number, such as `dots-007`. */
  readonly name: string;
  readonly family: string;
  readonly parameters: Parameters;
  readonly split: Split;
}

/** Every texture of the zoo, families taking turns, so that the first few of a build already show all of them. */
export function planTextures(config: ZooBuildConfig): PlannedTexture[] {
  const turns = config.textures.flatMap(({ family, train, heldOut, ranges }) => {
    const count = train + heldOut;
    return Array.from({ length: count }, (_, i) => {
      // Held-out textures spread evenly over the family.
      const held = Math.floor(((i + 1) * heldOut) / count) > Math.floor((i * heldOut) / count);
      const random = randomStream(config.seed, `texture/${family}/${i}`);
      const parameters = sampleParameters(textureFamilies[family], random, { ...config.ranges, ...ranges });
      const name = `${family}-${String(i).padStart(3, '0')}`;
      return {
        turn: (i + 0.5) / count,
        name,
        family,
        parameters,
        split: held ? 'held-out' : 'train',
      } as const;
    });
  });
  return turns
    .sort((a, b) => a.turn - b.turn || a.name.localeCompare(b.name))
    .map(({ turn: _, ...planned }) => planned);
}

/** [size, size, 3]. A smaller picture of the same parameters is the corner of a larger one. */
export const drawPlanned = (
  { family, parameters }: Pick<PlannedTexture, 'family' | 'parameters'>,
  size: number,
) => drawTexture(textureFamilies[family], parameters, size);

/** The picture the base is trained on: textures side by side, [side, side, 3]. */
export function baseMosaic(config: ZooBuildConfig): { readonly side: number; readonly data: Float32Array } {
  const tile = config.picture.kept;
  const tiles = config.base.textures.flatMap(({ family, count, ranges }) =>
    Array.from({ length: count }, (_, i) => {
      const random = randomStream(config.seed, `base/${family}/${i}`);
      const parameters = sampleParameters(textureFamilies[family], random, { ...config.ranges, ...ranges });
      return drawPlanned({ family, parameters }, tile);
    }),
  );
  const columns = Math.ceil(Math.sqrt(tiles.length));
  const side = columns * tile;
  const data = new Float32Array(side * side * 3);
  for (let place = 0; place < columns * columns; place++) {
    const [left, top] = [(place % columns) * tile, Math.floor(place / columns) * tile];
    const picture = tiles[place % tiles.length];
    for (let y = 0; y < tile; y++) {
      data.set(picture.subarray(y * tile * 3, (y + 1) * tile * 3), ((top + y) * side + left) * 3);
    }
  }
  return { side, data };
}
