// The weights of one NCA as the products want them: as the right factor, in panels (see gemm.ts). With C channels, P = 4 C and N hidden units:
//   w1^T [P, N] | b1 [N] | w2^T [N, C] | b2 [C] | w1 [N, P] | w2 [C, N]
// The perception's numbers are in the order [filter][channel]. Gradients are kept row by row: w1 [N, P] | b1 [N] | w2 [C, N] | b2 [C].
import {
  bands, batch, channels, flat, flatGradient, hidden, open, outputBias, realChannels, realHidden, weightGradients, weights, weightStride,
} from "./job";

// @ts-ignore: decorator
@inline
export function biasAt(): i32 {
  return 4 * channels * hidden;
}
// @ts-ignore: decorator
@inline
export function outputAt(): i32 {
  return biasAt() + hidden;
}
// @ts-ignore: decorator
@inline
export function outputBiasAt(): i32 {
  return outputAt() + channels * hidden;
}
// @ts-ignore: decorator
@inline
export function transposedAt(): i32 {
  return outputBiasAt() + channels;
}
// @ts-ignore: decorator
@inline
export function outputTransposedAt(): i32 {
  return transposedAt() + 4 * channels * hidden;
}

/** Floats of one NCA's packed weights. */
export function ncaPackedLength(channels: i32, hidden: i32): i32 {
  return 10 * channels * hidden + hidden + channels;
}

/** Floats of the weight gradients of one band. */
// @ts-ignore: decorator
@inline
export function gradientLength(): i32 {
  return outputBiasAt() + channels;
}

/** Where element [k, n] of a matrix [rows, columns] lies in its panels. */
// @ts-ignore: decorator
@inline
function inPanels(k: i32, n: i32, rows: i32, columns: i32): i32 {
  const panel = n & ~7;
  if (columns - panel < 8) return panel * rows + (k >> 1) * 8 + (n & 3) * 2 + (k & 1);
  return panel * rows + k * 8 + (n & 7);
}

// @ts-ignore: decorator
@inline
function count(): i32 {
  return realHidden * (4 * realChannels + 1 + realChannels) + (outputBias ? realChannels : 0);
}

/** Kernel: packs the weights of NCA `item`. */
export function ncaPack(item: i32, thread: i32, job: usize): void {
  open(job);
  const C = channels, P = 4 * C, N = hidden;
  let from = flat + <usize>item * count() * 4;
  const to = weights + <usize>item * weightStride;
  memory.fill(to, 0, <usize>(outputTransposedAt() + C * N) * 4);
  const transposed = to + (<usize>transposedAt() << 2), output = to + (<usize>outputAt() << 2);
  const outputTransposed = to + (<usize>outputTransposedAt() << 2);
  for (let j = 0; j < realHidden; j++) {
    for (let c = 0; c < realChannels; c++) {
      for (let f = 0; f < 4; f++) {
        const value = load<f32>(from);
        const p = f * C + c;
        store<f32>(to + (inPanels(p, j, P, N) << 2), value);
        store<f32>(transposed + (inPanels(j, p, N, P) << 2), value);
        from += 4;
      }
    }
  }
  for (let j = 0; j < realHidden; j++) {
    store<f32>(to + ((biasAt() + j) << 2), load<f32>(from));
    from += 4;
  }
  for (let c = 0; c < realChannels; c++) {
    for (let j = 0; j < realHidden; j++) {
      const value = load<f32>(from);
      store<f32>(output + (inPanels(j, c, N, C) << 2), value);
      store<f32>(outputTransposed + (inPanels(c, j, C, N) << 2), value);
      from += 4;
    }
  }
  if (outputBias) memory.copy(to + (<usize>outputBiasAt() << 2), from, realChannels << 2);
}

/**
 * Kernel: sums the weight gradients of the bands of sample `item`, in band order, into the flat gradient; with one NCA for all samples (item 0)
 * those of all samples in their order.
 */
export function ncaSumGradients(item: i32, thread: i32, job: usize): void {
  open(job);
  const length = gradientLength(), P = 4 * channels;
  const parts = weightStride == 0 ? batch * bands : bands;
  const sum = weightGradients + <usize>item * bands * length * 4;
  for (let part = 1; part < parts; part++) {
    const from = sum + <usize>part * length * 4;
    for (let i: usize = 0; i < <usize>length * 4; i += 16) {
      v128.store(sum + i, f32x4.add(v128.load(sum + i), v128.load(from + i)));
    }
  }
  let to = flatGradient + <usize>item * count() * 4;
  for (let j = 0; j < realHidden; j++) {
    for (let c = 0; c < realChannels; c++) {
      for (let f = 0; f < 4; f++) {
        store<f32>(to, load<f32>(sum + ((j * P + f * channels + c) << 2)));
        to += 4;
      }
    }
  }
  memory.copy(to, sum + (<usize>biasAt() << 2), realHidden << 2);
  to += realHidden << 2;
  for (let c = 0; c < realChannels; c++) {
    memory.copy(to, sum + (<usize>(outputAt() + c * hidden) << 2), realHidden << 2);
    to += realHidden << 2;
  }
  if (outputBias) memory.copy(to, sum + (<usize>outputBiasAt() << 2), realChannels << 2);
}
