/** A zoo of random NCAs that takes a moment to write: for tests of everything that starts from one. */
import { settle } from '../src/config/index.ts';
import { writeZoo } from '../src/data/index.ts';
import { type NcaSpec, SPECS, weightCount } from '../src/nca/index.ts';
import { randomStream } from '../src/tensor/index.ts';

/** Writes `train` + `heldOut` NCAs with targets of `size` pixels a side, all near one base. */
export async function writeTinyZoo(
  folder: string,
  { train = 6, heldOut = 2, size = 16, spec = SPECS.compact as NcaSpec, seed = 1 } = {},
): Promise<string> {
  const count = train + heldOut;
  const D = weightCount(spec);
  const random = randomStream(seed, 'tiny zoo');
  const base = random.normals(D, 0, 0.05);
  const weights = Float32Array.from({ length: count * D }, (_, i) => base[i % D] + random.normal(0, 0.02));
  const names = Array.from({ length: count }, (_, i) => `nca-${i}`);
  const images = names.map(name => ({
    path: `images/${name}.png`,
    content: { width: size, height: size, data: random.uniforms(size * size * 3) },
  }));
  await settle(
    writeZoo(
      folder,
      {
        spec,
        weights,
        base,
        entries: names.map((name, i) => ({
          name,
          group: name,
          split: i < train ? ('train' as const) : ('held-out' as const),
          image: images[i].path,
          rendering: images[i].path,
          provenance: {},
        })),
        provenance: { rendering: { steps: 20, seed: 1 } },
      },
      images,
    ),
  );
  return folder;
}
