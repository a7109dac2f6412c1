/** fast-check: random small networks of every layer kind, whose layers fit. For tests. */
import * as fc from 'fast-check';
import type { Layer, NetworkSpec } from '../../graphs/index.ts';

const size = fc.integer({ min: 1, max: 4 });

/** A layer that takes `from` units, and how many it gives. */
function layerAfter(from: number): fc.Arbitrary<{ layer: Layer; units: number }> {
  const bias = fc.boolean();
  const same = (layer: fc.Arbitrary<Layer>) => layer.map(l => ({ layer: l, units: from }));
  return fc.oneof(
    fc.record({ out: size, bias }).map(({ out, bias }) => ({
      layer: { kind: 'linear', in: from, out, bias } as Layer,
      units: out,
    })),
    fc
      .record({ out: size, bias, kernel: fc.array(size, { minLength: 1, maxLength: 3 }) })
      .map(({ out, bias, kernel }) => ({
        layer: { kind: 'conv', in: from, out, kernel, bias } as Layer,
        units: out,
      })),
    same(
      fc.record({
        kind: fc.constant('norm' as const),
        norm: fc.constantFrom('batch' as const, 'layer' as const, 'group' as const, 'instance' as const),
        features: fc.constant(from),
        affine: fc.boolean(),
      }),
    ),
    same(
      fc.record({ kind: fc.constant('feed-forward' as const), width: fc.constant(from), hidden: size, bias }),
    ),
    same(
      fc.record({
        kind: fc.constant('attention' as const),
        width: fc.constant(from),
        heads: fc.constantFrom(1, ...(from % 2 === 0 ? [2] : [])),
        bias,
      }),
    ),
    fc.record({ out: size, project: fc.boolean() }).map(({ out, project }) => ({
      layer: { kind: 'basic-block', in: from, out, project: project || out !== from } as Layer,
      units: out,
    })),
    fc.record({ out: size, bias }).map(({ out, bias }) => ({
      layer: { kind: 'deep-sets', in: from, out, bias } as Layer,
      units: out,
    })),
    same(
      size.map(inner => ({
        kind: 'residual' as const,
        layers: [
          { kind: 'linear' as const, in: from, out: inner },
          { kind: 'linear' as const, in: inner, out: from, bias: false },
        ],
      })),
    ),
  );
}

/** One to four layers that fit, sometimes begun by a triplanar grid or with flattened pixels in between. */
export const networks: fc.Arbitrary<NetworkSpec> = fc
  .tuple(size, size, fc.constantFrom('plain', 'triplanar', 'flatten'))
  .chain(([first, features, beginning]) => {
    const start: { layers: Layer[]; units: number } =
      beginning === 'triplanar'
        ? { layers: [{ kind: 'triplanar', features, resolution: 2 }], units: 3 + features }
        : beginning === 'flatten'
          ? {
              layers: [
                { kind: 'conv', in: first, out: features, kernel: [2] },
                { kind: 'flatten', pixels: [3] },
                { kind: 'linear', in: 3 * features, out: first },
              ],
              units: first,
            }
          : { layers: [], units: first };
    const grow = (
      { layers, units }: { layers: Layer[]; units: number },
      left: number,
    ): fc.Arbitrary<Layer[]> =>
      left === 0
        ? fc.constant(layers)
        : layerAfter(units).chain(next =>
            grow({ layers: [...layers, next.layer], units: next.units }, left - 1),
          );
    return fc.integer({ min: 1, max: 3 }).chain(count => grow(start, count));
  })
  .map(layers => ({ name: 'random', layers }));
