/**
 * Losses between textures: how far the statistics of pictures are from those of a target, wherever the features lie.
 *
 * The default needs no pretrained network: the sliced Wasserstein distance between the patches of two pictures at several scales
 * (Heitz et al. 2021, "A sliced Wasserstein loss for neural texture synthesis"; Elnekave and Weiss 2022, "Generating natural images with
 * direct patch distributions matching").
 */
import { allocate, f32, kernel, parallel, release, u32 } from '../compute/index.ts';
import { UserError } from '../config/index.ts';
import { type RandomStream, randomStream, tf } from '../tensor/index.ts';

/** A way to tell how far pictures are from textures; 0 for equal statistics, lower is better. */
export interface TextureLoss {
  readonly name: string;
  /** Its settings, where it is the patch sliced-Wasserstein loss: engines that have a form of their own for it go by them. */
  readonly patches?: PatchOptions;
  /** Takes targets [T, H, W, 3] in [0, 1] in hand; dispose of the result. */
  prepare(targets: tf.Tensor4D): PreparedTexture;
}

/** A loss against targets that are taken in hand: what can be computed of them beforehand is. Dispose of it. */
export interface PreparedTexture {
  /**
   * Loss of each picture [B, H, W, 3], as [B]; differentiable. Picture b is compared with target floor(b T / B): with one target all
   * share it. Whatever the loss draws at random comes from `random`.
   */
  loss(images: tf.Tensor4D, random: RandomStream): tf.Tensor1D;
  dispose(): void;
}

/** Settings of the patch sliced-Wasserstein loss. */
export interface PatchOptions {
  /** Planes of the pyramid, each half as large as the one before. */
  readonly scales: number;
  /** Width and height of a patch in pixels of its plane. */
  readonly patch: number;
  /** Random unit filters per plane, drawn afresh for every call; a multiple of 8. */
  readonly projections: number;
  /** Pictures are tori: patches cross their borders. */
  readonly wrap: boolean;
  /** Targets are tori. */
  readonly wrapTarget: boolean;
  /** Factor on the loss. */
  readonly factor: number;
  /**
   * Filters per plane to draw from, eight at a time and never twice in a call, instead of drawing fresh ones; a multiple of 8. The
   * targets' responses to them are sorted once, which is most of the work where targets are larger than pictures.
   */
  readonly bank?: number;
}

/** Three scales of 5 x 5 patches, 32 filters each; pictures are tori, targets are not. */
export const PATCH_DEFAULTS: PatchOptions = {
  scales: 3,
  patch: 5,
  projections: 32,
  wrap: true,
  wrapTarget: false,
  factor: 1,
};

/** Filters of a group: the kernels project on eight at a time. */
const GROUP = 8;

/** Random unit filters in the kernels' layout [scales, groups, patch * patch * 3, 8]. */
export function randomFilters(
  { scales, patch, projections }: Pick<PatchOptions, 'scales' | 'patch' | 'projections'>,
  random: RandomStream,
): Float32Array {
  const size = patch * patch * 3;
  const filters = new Float32Array(scales * projections * size);
  for (let filter = 0; filter < scales * projections; filter++) {
    const values = random.normals(size);
    const norm = Math.hypot(...values);
    const start = Math.floor(filter / GROUP) * size * GROUP + (filter % GROUP);
    for (let i = 0; i < size; i++) filters[start + i * GROUP] = values[i] / norm;
  }
  return filters;
}

/** Sizes of a picture's pyramid and of what the kernels need for it. */
function geometry(height: number, width: number, wrap: boolean, { scales, patch }: PatchOptions) {
  const pad = wrap ? patch - 1 : 0;
  let pyramid = 0;
  let positions = 0;
  let largest = 0;
  for (let level = 0; level < scales; level++) {
    const h = height >> level;
    const w = width >> level;
    if (h < 1 || w < 1 || h + pad < patch || w + pad < patch) {
      throw new UserError(
        `texture loss: a picture of ${width}x${height} is too small for patches of ${patch} pixels at ${scales} scales.`,
      );
    }
    const count = (h + pad - patch + 1) * (w + pad - patch + 1);
    pyramid += (h + pad) * (w + pad) * 3;
    positions += count;
    largest = Math.max(largest, count);
  }
  // Scratch of one band: projections, 1024 histogram words, two arrays of (key, position) pairs.
  return { height, width, pad, pyramid, positions, scratch: largest * (GROUP + 4) + 1024 + GROUP };
}
type Geometry = ReturnType<typeof geometry>;

/** Blocks of shared memory that live as long as one call. */
class Scratch {
  private readonly blocks: number[] = [];
  floats(length: number): number {
    const address = allocate(length * 4);
    this.blocks.push(address);
    return address;
  }
  from(values: Float32Array): number {
    const address = this.floats(values.length);
    f32(address, values.length).set(values);
    return address;
  }
  release(): void {
    for (const block of this.blocks.splice(0)) release(block);
  }
}

/** Addresses of filters and of what targets respond to them, sorted: [known, groups, positions, 8]. */
interface Responses {
  readonly filter: number;
  readonly sorted: number;
  readonly groups: number;
}

function pyramids(scratch: Scratch, pictures: Float32Array, count: number, size: Geometry, scales: number) {
  const images = scratch.from(pictures);
  const out = scratch.floats(count * size.pyramid);
  parallel(kernel('pyramid'), count, images, out, size.height, size.width, size.pad, scales);
  return out;
}

/**
 * The mean over scales, random filters and ranks of the square difference between the sorted filter responses of picture and target:
 *   loss = factor / (scales * projections) sum_{s,p} mean_r (sort(w_p * x_s)_r - sort(w_p * y_s)_r)^2
 * Responses of a target with another number of patches are resampled at the picture's quantiles.
 */
export function patchSlicedWasserstein(options: Partial<PatchOptions> = {}): TextureLoss {
  const settings = { ...PATCH_DEFAULTS, ...options };
  const { scales, patch, projections, wrap, wrapTarget, bank } = settings;
  if (projections < GROUP || projections % GROUP !== 0) {
    throw new UserError(
      `texture loss: projections: expected a positive multiple of ${GROUP}, found ${projections}.`,
    );
  }
  const groups = projections / GROUP;
  if (bank !== undefined && (bank < projections || bank % GROUP !== 0)) {
    throw new UserError(
      `texture loss: bank: expected a multiple of ${GROUP} from ${projections} (projections), found ${bank}.`,
    );
  }
  const factor = settings.factor / (scales * projections);
  return {
    name: 'patch sliced Wasserstein',
    patches: settings,
    prepare(targets) {
      const known = targets.shape[0];
      const targetSize = geometry(targets.shape[1], targets.shape[2], wrapTarget, settings);
      const targetPictures = Float32Array.from(targets.dataSync());

      /** The targets' sorted responses to filters of `count` groups. */
      function respond(filters: Float32Array, count: number, hold: Scratch): Responses {
        const scratch = new Scratch();
        try {
          const filter = hold.from(filters);
          const sorted = hold.floats(known * count * targetSize.positions * GROUP);
          const planes = pyramids(scratch, targetPictures, known, targetSize, scales);
          const sorting = scratch.floats(known * count * targetSize.scratch);
          parallel(
            kernel('sortedProjections'),
            known * count,
            ...[planes, targetSize.height, targetSize.width, targetSize.pad, scales, patch],
            ...[filter, count, sorted, targetSize.positions * GROUP, sorting, targetSize.scratch],
          );
          return { filter, sorted, groups: count };
        } finally {
          scratch.release();
        }
      }

      /** Losses [B] and, when wanted, their gradients [B, H, W, 3]. `chosen`: groups of the responses. */
      function measure(
        pictures: Float32Array,
        count: number,
        size: Geometry,
        { filter, sorted, groups: bankGroups }: Responses,
        chosen: ArrayLike<number>,
        gradient: boolean,
      ) {
        const scratch = new Scratch();
        try {
          const choice = scratch.floats(groups);
          u32(choice, groups).set(chosen);
          const sorting = scratch.floats(groups * count * size.scratch);
          const { height, width, pad } = size;
          const planes = pyramids(scratch, pictures, count, size, scales);
          const losses = scratch.floats(count * groups);
          const gradients = gradient ? scratch.floats(count * groups * size.pyramid) : 0;
          parallel(
            kernel('slicedDistance'),
            count * groups,
            ...[planes, height, width, pad, scales, patch, filter, groups, bankGroups, choice],
            ...[
              sorted,
              targetSize.positions * GROUP,
              targetSize.height,
              targetSize.width,
              targetSize.pad,
              count / known,
            ],
            ...[factor, losses, gradients, sorting, size.scratch],
          );
          const parts = f32(losses, count * groups);
          const loss = Float32Array.from({ length: count }, (_, b) => {
            let sum = 0;
            for (let group = 0; group < groups; group++) sum += parts[b * groups + group];
            return sum;
          });
          if (!gradient) return { loss, slope: undefined };
          const out = scratch.floats(pictures.length);
          parallel(kernel('gatherGradient'), count, gradients, groups, height, width, pad, scales, out);
          return { loss, slope: Float32Array.from(f32(out, pictures.length)) };
        } finally {
          scratch.release();
        }
      }

      /** Of the bank, made at the first call. */
      const held = new Scratch();
      let bankResponses: Responses | undefined;

      /** Filters of one call: fresh ones, or some of the bank. */
      function draw<A>(random: RandomStream, use: (responses: Responses, chosen: ArrayLike<number>) => A): A {
        if (bank !== undefined) {
          const stream = randomStream(0, 'texture loss/bank');
          bankResponses ??= respond(
            randomFilters({ ...settings, projections: bank }, stream),
            bank / GROUP,
            held,
          );
          return use(bankResponses, random.permutation(bank / GROUP).subarray(0, groups));
        }
        const fresh = new Scratch();
        try {
          const every = Array.from({ length: groups }, (_, group) => group);
          return use(respond(randomFilters(settings, random), groups, fresh), every);
        } finally {
          fresh.release();
        }
      }

      return {
        loss(images, random) {
          const [count, height, width] = images.shape;
          if (count % known !== 0)
            throw new Error(`${count} pictures cannot be shared among ${known} targets`);
          const size = geometry(height, width, wrap, settings);
          const wanted = tf.engine().isTapeOn();
          const distance = tf.customGrad((x, save) => {
            const pictures = (x as tf.Tensor4D).dataSync() as Float32Array;
            const { loss, slope } = draw(random, (responses, chosen) =>
              measure(pictures, count, size, responses, chosen, wanted),
            );
            if (slope) (save as tf.GradSaveFunc)([tf.tensor4d(slope, images.shape)]);
            return {
              value: tf.tensor1d(loss),
              gradFunc: (dy: tf.Tensor, [saved]: tf.Tensor[]) =>
                tf.mul(saved, tf.reshape(dy, [count, 1, 1, 1])),
            };
          });
          return distance(images) as tf.Tensor1D;
        },
        dispose() {
          held.release();
          bankResponses = undefined;
        },
      };
    },
  };
}

/** Mean square difference of pixels: to reproduce one picture as it stands rather than its texture. Targets must have the pictures' size. */
export const meanSquare = (): TextureLoss => ({
  name: 'mean square',
  prepare(targets) {
    const kept = tf.keep(tf.clone(targets));
    return {
      loss(images) {
        const [count, height, width] = images.shape;
        const [known, ...size] = kept.shape;
        if (count % known !== 0 || size[0] !== height || size[1] !== width) {
          throw new Error(`pictures ${images.shape} against targets ${kept.shape}`);
        }
        return tf.tidy(() => {
          const grouped = tf.reshape(images, [known, count / known, height, width, 3]);
          const difference = tf.sub(grouped, tf.expandDims(kept, 1));
          return tf.reshape(tf.mean(tf.square(difference), [2, 3, 4]), [count]) as tf.Tensor1D;
        });
      },
      dispose: () => kept.dispose(),
    };
  },
});
