/** Where training starts. */
import { randomStream } from '../../tensor/index.ts';
import { type NcaSpec, perceptionSize, weightCount } from '../spec.ts';
import { blockOf } from '../weights.ts';

/**
 * Random initial weights [D]: w1 Xavier-normal (Glorot and Bengio 2010) with gain 0.2, w2 and b2 zero: the untrained NCA
 * stands still. b1 is normal: were it zero too, a zero seed would give no hidden activity and no gradient, for ever.
 */
export function initialWeights(spec: NcaSpec, seed: number): Float32Array {
  const flat = new Float32Array(weightCount(spec));
  const std = 0.2 * Math.sqrt(2 / (perceptionSize(spec) + spec.hidden));
  const w1 = blockOf(spec, flat, 'w1');
  w1.set(randomStream(seed, 'initial/w1').normals(w1.length, 0, std));
  const b1 = blockOf(spec, flat, 'b1');
  b1.set(randomStream(seed, 'initial/b1').normals(b1.length, 0, 0.1));
  return flat;
}
