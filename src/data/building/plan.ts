/** Which textures a zoo has: their names, groups, splits, and how each is drawn. */
import { createHash } from 'node:crypto';
import { refuse, suggestion } from '../../config/index.ts';
import type { Split } from '../split.ts';
import type { BaseConfig } from './config.ts';

/** A texture of a zoo to be: everything that draws it, before anything is drawn. */
export interface PlannedTexture {
  /** The family and a number, such as `dots-007`. */
  readonly name: string;
  /** Textures of one group are never on two sides of the split. */
  readonly group: string;
  readonly split: Split;
  /** Where it comes from, for the zoo's manifest. */
  readonly provenance: Readonly<Record<string, unknown>>;
  /** [size, size, 3]. A smaller picture is part of a larger one. */
  draw(size: number): Promise<Float32Array>;
}

/** All textures of a zoo, and what its base is trained on. */
export interface ZooPlan {
  readonly textures: readonly PlannedTexture[];
  /** Tiles of the base's picture, [tile, tile, 3] each; none without a base. */
  baseTiles(tile: number): Promise<Float32Array[]>;
}

/**
 * Kinds of textures take turns, each spread evenly over the whole, so that the first few of a build already show all of them.
 * @param kinds lists whose order is kept
 */
export function takeTurns<T extends { readonly name: string }>(kinds: readonly (readonly T[])[]): T[] {
  const turns = kinds.flatMap(kind => kind.map((item, i) => ({ turn: (i + 0.5) / kind.length, item })));
  return turns
    .sort((a, b) => a.turn - b.turn || (a.item.name < b.item.name ? -1 : 1))
    .map(({ item }) => item);
}

/** The tiles of a base made from planned textures, by name or a mosaic of the first ones to train on. */
export function plannedTiles(
  textures: readonly PlannedTexture[],
  wanted: BaseConfig['textures'],
  tile: number,
): Promise<Float32Array[]> {
  const training = textures.filter(({ split }) => split === 'train');
  const names = Array.isArray(wanted)
    ? wanted.map(one => (typeof one === 'string' ? one : one.family))
    : training.slice(0, wanted.mosaic).map(({ name }) => name);
  const chosen = names.map(name => {
    const found = training.find(texture => texture.name === name);
    if (found) return found;
    const held = textures.find(texture => texture.name === name);
    return refuse(
      'zoo configuration',
      'names of training textures',
      held ? `${name}, which is ${held.split}` : `"${name}"`,
      {
        field: 'base.textures',
        hint: suggestion(
          name,
          training.map(texture => texture.name),
        ),
      },
    );
  });
  return Promise.all(chosen.map(texture => texture.draw(tile)));
}

/** What a base is trained on, [side, side, 3]. */
export interface Mosaic {
  readonly side: number;
  readonly data: Float32Array;
}

/** Tiles side by side in a square, again from the first where it has more places. */
export function mosaicOf(tiles: readonly Float32Array[], tile: number): Mosaic {
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

/** SHA-256 of pixels, and of whatever else of numbers decides a part. */
export function pixelHash(...all: readonly Float32Array[]): string {
  const hash = createHash('sha256');
  for (const { buffer, byteOffset, byteLength } of all)
    hash.update(new Uint8Array(buffer, byteOffset, byteLength));
  return hash.digest('hex');
}
