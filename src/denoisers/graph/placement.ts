/** Where the condition enters a graph denoiser. The noise level is part of the global state wherever that may be. */
import * as t from 'io-ts';
import { linear, type Parameters, silu, tf } from '../../tensor/index.ts';
import type { Condition, DenoiserContext } from '../denoiser.ts';
import { conditionVector, noiseVector } from './context.ts';

/**
 * `global`: added to the global state. `nodes`: added to the features that every node starts with. `scale`: sets scale and shift of the
 * normalised nodes in every layer and before the output (FiLM, Perez et al. 2018; adaLN, Peebles and Xie 2023). `none`: nowhere.
 * All nodes are treated alike, so each keeps the symmetries of the graph.
 */
export const Placement = t.keyof({ global: null, nodes: null, scale: null, none: null });
export type Placement = t.TypeOf<typeof Placement>;

/** Normalised nodes [B, N, hidden] -> the same, adapted to the condition. */
export type Adapt = (nodes: tf.Tensor3D) => tf.Tensor3D;

export interface Placed {
  /** [B, global], what the global state starts from. */
  readonly global: tf.Tensor2D;
  /** Node features [B, N, hidden] as they start. */
  readonly onNodes: Adapt;
  /** Normalised nodes of layer i; those for the output come after the last layer's. */
  readonly adapt: (nodes: tf.Tensor3D, i: number) => tf.Tensor3D;
}

export interface PlacementSizes {
  readonly condition: Placement;
  readonly hidden: number;
  readonly global: number;
  readonly layers: number;
}

/** @param shape of the condition; null for none, wherever it would enter */
export function placement(
  parameters: Parameters,
  { condition: where, hidden, global: width, layers }: PlacementSizes,
  shape: DenoiserContext['condition'],
): (noiseLabel: tf.Tensor1D, condition: Condition | null) => Placed {
  const noise = noiseVector(parameters, width);
  const absent = (global: tf.Tensor2D): Placed => ({ global, onNodes: same, adapt: same });
  if (!shape || where === 'none') return noiseLabel => absent(noise(noiseLabel));
  const vector = conditionVector(parameters, width, shape);
  switch (where) {
    case 'global':
      return (noiseLabel, condition) => absent(tf.add(noise(noiseLabel), vector(condition)));
    case 'nodes': {
      const toNodes = linear(parameters, 'placement/nodes', width, hidden);
      return (noiseLabel, condition) => {
        const own = spread(toNodes(silu(vector(condition)) as tf.Tensor2D));
        return { ...absent(noise(noiseLabel)), onNodes: nodes => tf.add(nodes, own) };
      };
    }
    case 'scale': {
      // Starts as the plain norm.
      const modulation = linear(parameters, 'placement/modulation', width, 2 * hidden * (layers + 1), {
        std: 0,
      });
      return (noiseLabel, condition) => {
        const parts = tf.split(
          spread(modulation(silu(vector(condition)) as tf.Tensor2D)),
          2 * (layers + 1),
          2,
        ) as tf.Tensor3D[];
        const adapt = (nodes: tf.Tensor3D, i: number): tf.Tensor3D =>
          tf.add(tf.mul(nodes, tf.add(parts[2 * i], 1)), parts[2 * i + 1]);
        return { ...absent(noise(noiseLabel)), adapt };
      };
    }
  }
}

const same = (nodes: tf.Tensor3D) => nodes;

/** [B, F] -> [B, 1, F] */
const spread = (x: tf.Tensor2D): tf.Tensor3D => tf.reshape(x, [x.shape[0], 1, x.shape[1]]);
