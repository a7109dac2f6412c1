/**
 * Where tfjs 4.22's automatic differentiation goes wrong. Gradients registered over its own: matrix products, maxima, minima and squared differences of
 * broadcast operands (their gradients keep the broadcast shape and tfjs then refuses them), products over axes, running sums over any
 * axis but the last, and mirror padding (which forgets the mirrored numbers). And where it wastes time: sums and means, whose gradients
 * tfjs multiplies by a tensor of ones made number by number in JavaScript; tiling, whose copies it adds up one by one; and what it keeps.
 */
import * as tf from '@tensorflow/tfjs-core';
import { resizeGradient } from './resize.ts';

type Gradients = Record<string, () => tf.Tensor>;

/** What the tape holds for the backward pass stays held when a gradient throws; here it is let go. */
const engine = tf.engine();
const gradients = engine.gradients.bind(engine);
engine.gradients = <T extends tf.Tensor>(...given: Parameters<typeof engine.gradients<T>>) => {
  try {
    return gradients<T>(...given);
  } catch (error) {
    const { state } = engine;
    if (state.gradientDepth === 0 && state.activeTape) {
      for (const { saved } of state.activeTape) tf.dispose(saved as tf.Tensor[]);
      state.activeTape = null as never;
    }
    throw error;
  }
};

/**
 * What the backward pass needs is kept as a clone, and tfjs records each clone as an operator. Only the gradient of a gradient goes through
 * those; for a first gradient, another holder of the same numbers will do.
 */
interface Saving {
  saveTensorsForBackwardMode(tensors: tf.Tensor[]): tf.Tensor[];
  makeTensorFromDataId(dataId: object, shape: number[], dtype: tf.DataType, backend: unknown): tf.Tensor;
}
const saving = engine as unknown as Saving;
const saveClones = saving.saveTensorsForBackwardMode.bind(engine);
saving.saveTensorsForBackwardMode = tensors => {
  if (engine.state.gradientDepth !== 1) return saveClones(tensors);
  return tensors.map(({ dataId, shape, dtype }) => {
    const { backend } = engine.state.tensorInfo.get(dataId)!;
    backend.incRef(dataId);
    return engine.keep(saving.makeTensorFromDataId(dataId, shape, dtype, backend));
  });
};

/** Sums a gradient over the axes along which its operand was broadcast. */
function summedTo(operand: tf.Tensor, gradient: () => tf.Tensor): tf.Tensor {
  const full = gradient();
  const axes = tf.broadcast_util.getReductionAxes(operand.shape, full.shape);
  return axes.length === 0 ? full : tf.reshape(tf.sum(full, axes), operand.shape);
}

/** What tf.image.resizeBilinear does with pixel centres at half integers. */
const BILINEAR = { filter: 'bilinear', antialias: false } as const;

/**
 * Registers the mended gradients over whatever is registered. Loading @tensorflow/tfjs, as tfjs-node does, registers tfjs's own once more, over
 * these: then this has to be called again.
 */
export function mendGradients(): void {
  for (const kernelName of ['BatchMatMul', 'Maximum', 'Minimum', 'SquaredDifference']) {
    const theirs = tf.getGradient(kernelName);
    tf.registerGradient({
      ...theirs,
      gradFunc: (dy, saved, attributes) => {
        const [a, b] = saved as tf.Tensor[];
        const gradients = theirs.gradFunc(dy, saved, attributes) as Gradients;
        return { a: () => summedTo(a, gradients.a), b: () => summedTo(b, gradients.b) };
      },
    });
  }

  /** dx_i = dy times the product of the others: those before it times those after. */
  tf.registerGradient({
    kernelName: 'Prod',
    inputsToSave: ['x'],
    gradFunc: (dy, saved, { axis }) => ({
      x: () => {
        const [x] = saved as tf.Tensor[];
        const axes = tf.util.parseAxisParam(axis as number[], x.shape);
        const kept = x.shape.map((_, d) => d).filter(d => !axes.includes(d));
        const order = [...kept, ...axes];
        const moved = tf.transpose(x, order);
        const outer = kept.map(d => x.shape[d]);
        const rows = tf.reshape(moved, [...outer, -1]);
        const others = tf.mul(
          tf.cumprod(rows, outer.length, true, false),
          tf.cumprod(rows, outer.length, true, true),
        );
        const dRows = tf.mul(tf.reshape(dy as tf.Tensor, [...outer, 1]), others);
        return tf.transpose(
          tf.reshape(dRows, moved.shape),
          order.map((_, d) => order.indexOf(d)),
        );
      },
    }),
  });

  /** A running sum's gradient runs the other way. */
  tf.registerGradient({
    kernelName: 'Cumsum',
    gradFunc: (dy, _, { axis, exclusive, reverse }) => ({
      x: () => tf.cumsum(dy as tf.Tensor, axis as number, exclusive as boolean, !reverse),
    }),
  });

  /** What was copied into the mirrored margins comes back, turned round, to where it came from. */
  tf.registerGradient({
    kernelName: 'MirrorPad',
    inputsToSave: ['x'],
    gradFunc: (dy, saved, { paddings, mode }) => ({
      x: () => {
        const { shape } = (saved as tf.Tensor[])[0];
        const skipped = mode === 'reflect' ? 1 : 0;
        return (paddings as unknown as [number, number][]).reduce((g, [before, after], axis) => {
          const size = shape[axis];
          const cut = (start: number, length: number) => {
            const begin = g.shape.map((_, d) => (d === axis ? start : 0));
            return tf.slice(
              g,
              begin,
              g.shape.map((n, d) => (d === axis ? length : n)),
            );
          };
          const placed = (part: tf.Tensor, start: number) =>
            tf.pad(
              tf.reverse(part, axis),
              g.shape.map((_, d) => (d === axis ? [start, size - start - part.shape[axis]] : [0, 0])),
            );
          const parts = [cut(before, size)];
          if (before > 0) parts.push(placed(cut(0, before), skipped));
          if (after > 0) parts.push(placed(cut(before + size, after), size - after - skipped));
          return tf.addN(parts);
        }, dy as tf.Tensor);
      },
    }),
  });

  /** The gradient of a sum, or a mean, is the same for all that it adds up. */
  for (const kernelName of ['Sum', 'Mean']) {
    tf.registerGradient({
      kernelName,
      inputsToSave: ['x'],
      gradFunc: (dy, saved, { axis }) => ({
        x: () => {
          const { shape } = (saved as tf.Tensor[])[0];
          const axes = tf.util.parseAxisParam(axis as number[], shape);
          const kept = tf.backend_util.expandShapeToKeepDim(
            shape.filter((_, d) => !axes.includes(d)),
            axes,
          );
          const count = kernelName === 'Mean' ? axes.reduce((n, d) => n * shape[d], 1) : 1;
          const one = tf.reshape(dy as tf.Tensor, kept);
          return tf.broadcastTo(count === 1 ? one : tf.mul(one, 1 / count), shape);
        },
      }),
    });
  }

  /** Every copy's gradient, added up. */
  tf.registerGradient({
    kernelName: 'Tile',
    inputsToSave: ['x'],
    gradFunc: (dy, saved, { reps }) => ({
      x: () => {
        const { shape } = (saved as tf.Tensor[])[0];
        const copies = tf.reshape(
          dy as tf.Tensor,
          shape.flatMap((n, d) => [(reps as number[])[d], n]),
        );
        const axes = shape.map((_, d) => 2 * d).filter(axis => copies.shape[axis] !== 1);
        return tf.reshape(tf.sum(copies, axes), shape);
      },
    }),
  });

  /** The kernels of tfjs and tfjs-node know nothing of pixel centres at half integers, loom's does: elsewhere it is two matrix products, as the resize is. */
  const resized = tf.getGradient('ResizeBilinear');
  tf.registerGradient({
    ...resized,
    gradFunc: (dy, saved, attributes) =>
      attributes.halfPixelCenters && tf.getBackend() !== 'loom'
        ? { images: () => resizeGradient(dy as tf.Tensor4D, (saved as tf.Tensor[])[0].shape, BILINEAR) }
        : resized.gradFunc(dy, saved, attributes),
  });
}

mendGradients();
