/** Zoos of procedural textures: families, parameters and split, all from the configuration. */
import { refuse, suggestion } from '../../config/index.ts';
import { randomStream } from '../../tensor/index.ts';
import { drawTexture, SHARED_RANGES, sampleParameters, textureFamilies } from '../textures/index.ts';
import type { FamilyConfig, ZooBuildConfig } from './config.ts';
import { type PlannedTexture, plannedTiles, takeTurns, type ZooPlan } from './plan.ts';

type Ranges = Record<string, [number, number]> | undefined;

interface Family {
  readonly family: string;
  readonly ranges?: Ranges;
}
const isFamilies = <T>(list: T): list is Extract<T, readonly Family[]> =>
  Array.isArray(list) && typeof list[0] !== 'string';

/** Ranges must name parameters that the family has. */
function checkRanges({ ranges: shared = {}, textures, base }: ZooBuildConfig): void {
  const check = (names: readonly string[], known: readonly string[], field: string) => {
    const stray = names.find(name => !known.includes(name));
    if (stray === undefined) return;
    refuse('zoo configuration', `one of ${known.join(', ')}`, `the unknown parameter ${stray}`, {
      field,
      hint: suggestion(stray, known),
    });
  };
  check(Object.keys(shared), Object.keys(SHARED_RANGES), 'ranges');
  const lists = { textures, 'base.textures': base === 'none' ? [] : base.textures };
  for (const [where, list] of Object.entries(lists)) {
    if (!isFamilies(list)) continue;
    list.forEach(({ family, ranges = {} }, i) => {
      check(Object.keys(ranges), Object.keys(textureFamilies[family].ranges), `${where}[${i}].ranges`);
    });
  }
}

/** The textures of `families`, and the base's own. */
export function planProcedural(config: ZooBuildConfig, families: readonly FamilyConfig[]): ZooPlan {
  checkRanges(config);
  const parametersOf = (family: string, stream: string, ranges: Ranges) =>
    sampleParameters(textureFamilies[family], randomStream(config.seed, stream), {
      ...config.ranges,
      ...ranges,
    });
  const kinds = families.map(({ family, train, heldOut, ranges }) => {
    const count = train + heldOut;
    return Array.from({ length: count }, (_, i): PlannedTexture => {
      // Held-out textures spread evenly over the family.
      const held = Math.floor(((i + 1) * heldOut) / count) > Math.floor((i * heldOut) / count);
      const parameters = parametersOf(family, `texture/${family}/${i}`, ranges);
      const name = `${family}-${String(i).padStart(3, '0')}`;
      return {
        name,
        group: name,
        split: held ? 'held-out' : 'train',
        provenance: { family, parameters },
        // The corner of a larger picture of the same parameters.
        draw: async size => drawTexture(textureFamilies[family], parameters, size),
      };
    });
  });
  const textures = takeTurns(kinds);
  return {
    textures,
    async baseTiles(tile) {
      if (config.base === 'none') return [];
      const wanted = config.base.textures;
      if (!isFamilies(wanted)) return plannedTiles(textures, wanted, tile);
      return wanted.flatMap(({ family, count, ranges }) =>
        Array.from({ length: count }, (_, i) => {
          const parameters = parametersOf(family, `base/${family}/${i}`, ranges);
          return drawTexture(textureFamilies[family], parameters, tile);
        }),
      );
    },
  };
}
