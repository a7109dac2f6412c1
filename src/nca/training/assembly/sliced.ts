// Sliced Wasserstein distance between the patches of pictures, several scales at once.
//
// Pictures lie as pyramids. Filters lie as [levels][group][patch * patch * 3][8]: eight filters make a group, the unit of work of one band.
import { planeSize, pyramidSize } from "./pyramid";
import { sort, valueOf } from "./radix-sort";

const GROUP: i32 = 8;

@inline function madd(a: v128, b: v128, c: v128): v128 {
  if (FMA) return f32x4.relaxed_madd(a, b, c);
  return f32x4.add(c, f32x4.mul(a, b));
}

@inline function spread(out: usize, rowBytes: usize, low: v128, high: v128): void {
  store<f32>(out, f32x4.extract_lane(low, 0));
  store<f32>(out + rowBytes, f32x4.extract_lane(low, 1));
  store<f32>(out + 2 * rowBytes, f32x4.extract_lane(low, 2));
  store<f32>(out + 3 * rowBytes, f32x4.extract_lane(low, 3));
  store<f32>(out + 4 * rowBytes, f32x4.extract_lane(high, 0));
  store<f32>(out + 5 * rowBytes, f32x4.extract_lane(high, 1));
  store<f32>(out + 6 * rowBytes, f32x4.extract_lane(high, 2));
  store<f32>(out + 7 * rowBytes, f32x4.extract_lane(high, 3));
}

/** Projects every patch of a plane on the eight filters of a group: out [8, positions]. */
function project(plane: usize, rows: i32, columns: i32, stride: i32, patch: i32, filters: usize, out: usize): void {
  const rowBytes = <usize>(rows * columns) << 2;
  for (let y = 0; y < rows; y++) {
    let x = 0;
    for (; x + 4 <= columns; x += 4) {
      let a0 = f32x4.splat(0), a1 = f32x4.splat(0), b0 = f32x4.splat(0), b1 = f32x4.splat(0);
      let c0 = f32x4.splat(0), c1 = f32x4.splat(0), d0 = f32x4.splat(0), d1 = f32x4.splat(0);
      let filter = filters;
      for (let dy = 0; dy < patch; dy++) {
        let from = plane + (((y + dy) * stride + 3 * x) << 2);
        const end = from + patch * 12;
        for (; from < end; from += 4, filter += 32) {
          const low = v128.load(filter);
          const high = v128.load(filter, 16);
          const a = v128.load32_splat(from);
          const b = v128.load32_splat(from, 12);
          const c = v128.load32_splat(from, 24);
          const d = v128.load32_splat(from, 36);
          a0 = madd(a, low, a0);
          a1 = madd(a, high, a1);
          b0 = madd(b, low, b0);
          b1 = madd(b, high, b1);
          c0 = madd(c, low, c0);
          c1 = madd(c, high, c1);
          d0 = madd(d, low, d0);
          d1 = madd(d, high, d1);
        }
      }
      const to = out + ((y * columns + x) << 2);
      spread(to, rowBytes, a0, a1);
      spread(to + 4, rowBytes, b0, b1);
      spread(to + 8, rowBytes, c0, c1);
      spread(to + 12, rowBytes, d0, d1);
    }
    for (; x < columns; x++) {
      let low = f32x4.splat(0), high = f32x4.splat(0);
      let filter = filters;
      for (let dy = 0; dy < patch; dy++) {
        let from = plane + (((y + dy) * stride + 3 * x) << 2);
        const end = from + patch * 12;
        for (; from < end; from += 4, filter += 32) {
          const a = v128.load32_splat(from);
          low = madd(a, v128.load(filter), low);
          high = madd(a, v128.load(filter, 16), high);
        }
      }
      spread(out + ((y * columns + x) << 2), rowBytes, low, high);
    }
  }
}

/** The transpose of `project`: adds filters weighted by gradients [8, positions] to the plane. */
function backProject(plane: usize, rows: i32, columns: i32, stride: i32, patch: i32, filters: usize, gradients: usize): void {
  const rowBytes = <usize>(rows * columns) << 2;
  for (let y = 0; y < rows; y++) {
    for (let x = 0; x < columns; x++) {
      const at = gradients + ((y * columns + x) << 2);
      const low = f32x4(
        load<f32>(at), load<f32>(at + rowBytes), load<f32>(at + 2 * rowBytes), load<f32>(at + 3 * rowBytes),
      );
      const high = f32x4(
        load<f32>(at + 4 * rowBytes), load<f32>(at + 5 * rowBytes), load<f32>(at + 6 * rowBytes), load<f32>(at + 7 * rowBytes),
      );
      let filter = filters;
      for (let dy = 0; dy < patch; dy++) {
        let to = plane + (((y + dy) * stride + 3 * x) << 2);
        const end = to + patch * 12;
        for (; to < end; to += 4, filter += 32) {
          const products = madd(high, v128.load(filter, 16), f32x4.mul(low, v128.load(filter)));
          const pairs = f32x4.add(products, v128.shuffle<f32>(products, products, 2, 3, 0, 1));
          store<f32>(to, load<f32>(to) + f32x4.extract_lane(pairs, 0) + f32x4.extract_lane(pairs, 1));
        }
      }
    }
  }
}

/** Band: one group of one picture. out [B, groups, per level: 8 x positions], each row sorted. */
export function sortedProjections(
  band: i32, thread: i32, pyramids: usize, height: i32, width: i32, pad: i32, levels: i32, patch: i32,
  filters: usize, groups: i32, out: usize, outSize: i32, scratch: usize, scratchSize: i32,
): void {
  let plane = pyramids + (((band / groups) * pyramidSize(height, width, pad, levels)) << 2);
  let to = out + ((band * outSize) << 2);
  const filterSize = patch * patch * 3 * GROUP;
  const projections = scratch + ((band * scratchSize) << 2);
  for (let level = 0; level < levels; level++) {
    const rows = height + pad - patch + 1;
    const columns = width + pad - patch + 1;
    const count = rows * columns;
    const sorting = projections + <usize>count * GROUP * 4;
    project(plane, rows, columns, (width + pad) * 3, patch, filters + (((level * groups + band % groups) * filterSize) << 2), projections);
    for (let f = 0; f < GROUP; f++) {
      const pairs = sort(projections + ((f * count) << 2), count, sorting);
      for (let r = 0; r < count; r++, to += 4) store<f32>(to, valueOf(pairs + (<usize>r << 3)));
    }
    plane += planeSize(height, width, pad) << 2;
    height >>= 1;
    width >>= 1;
  }
}

/**
 * Band: one group of one picture. The mean square distance between its sorted projections and the quantiles of the target's
 * (`targets` as sortedProjections made them, of pictures targetHeight x targetWidth), summed over the group's filters and levels and
 * multiplied by `factor` / positions, to losses [B, groups]; its gradient to `gradients` [B, groups, pyramid] when that is not 0.
 * Picture b is compared with target b / share. Filters and targets hold `bank` groups; the picture's group g is the bank's `chosen`[g] (i32).
 */
export function slicedDistance(
  band: i32, thread: i32, pyramids: usize, height: i32, width: i32, pad: i32, levels: i32, patch: i32,
  filters: usize, groups: i32, bank: i32, chosen: usize, targets: usize, targetSize: i32, targetHeight: i32, targetWidth: i32, targetPad: i32, share: i32,
  factor: f64, losses: usize, gradients: usize, scratch: usize, scratchSize: i32,
): void {
  const image = band / groups;
  const group = load<i32>(chosen + ((band % groups) << 2));
  const size = pyramidSize(height, width, pad, levels);
  let plane = pyramids + ((image * size) << 2);
  let gradient = gradients + ((band * size) << 2);
  if (gradients !== 0) memory.fill(gradient, 0, size << 2);
  let target = targets + ((((image / share) * bank + group) * targetSize) << 2);
  const filterSize = patch * patch * 3 * GROUP;
  const projections = scratch + ((band * scratchSize) << 2);
  let loss: f64 = 0;
  for (let level = 0; level < levels; level++) {
    const rows = height + pad - patch + 1;
    const columns = width + pad - patch + 1;
    const count = rows * columns;
    const known = (targetHeight + targetPad - patch + 1) * (targetWidth + targetPad - patch + 1);
    const sorting = projections + <usize>count * GROUP * 4;
    const filter = filters + (((level * bank + group) * filterSize) << 2);
    project(plane, rows, columns, (width + pad) * 3, patch, filter, projections);
    const slope = <f32>(2 * factor / count);
    const ratio = <f64>known / <f64>count;
    for (let f = 0; f < GROUP; f++, target += known << 2) {
      const row = projections + ((f * count) << 2);
      const pairs = sort(row, count, sorting);
      let sum: f64 = 0;
      for (let r = 0; r < count; r++) {
        const pair = pairs + (<usize>r << 3);
        let wanted: f32;
        if (known === count) wanted = load<f32>(target + (<usize>r << 2));
        else {
          // Linear between the target's order statistics at the middle of the rank's share of the distribution.
          const place = max(0, min(<f64>(known - 1), (<f64>r + 0.5) * ratio - 0.5));
          const below = <i32>place;
          const above = min(below + 1, known - 1);
          const low = load<f32>(target + (<usize>below << 2));
          wanted = low + <f32>(place - <f64>below) * (load<f32>(target + (<usize>above << 2)) - low);
        }
        const difference = valueOf(pair) - wanted;
        sum += <f64>difference * <f64>difference;
        store<f32>(row + (<usize>load<u32>(pair, 4) << 2), slope * difference);
      }
      loss += sum * factor / count;
    }
    if (gradients !== 0) backProject(gradient, rows, columns, (width + pad) * 3, patch, filter, projections);
    const step = planeSize(height, width, pad) << 2;
    plane += step;
    gradient += step;
    height >>= 1;
    width >>= 1;
    targetHeight >>= 1;
    targetWidth >>= 1;
  }
  store<f32>(losses + (band << 2), <f32>loss);
}
