// A picture becomes a pyramid: `levels` planes, each half as wide and high as the one before (means of 2x2), each padded by `pad`
// rows and columns continued from the other side (0 when the picture is no torus), planes one after another, [h + pad, w + pad, 3].

@inline export function planeSize(height: i32, width: i32, pad: i32): i32 {
  return (height + pad) * (width + pad) * 3;
}

/** Floats in one picture's pyramid. */
export function pyramidSize(height: i32, width: i32, pad: i32, levels: i32): i32 {
  let size = 0;
  for (let level = 0; level < levels; level++) {
    size += planeSize(height, width, pad);
    height >>= 1;
    width >>= 1;
  }
  return size;
}

/** Continues the plane over its right and lower border. */
function wrapAround(plane: usize, height: i32, width: i32, pad: i32): void {
  const stride = (width + pad) * 3;
  for (let y = 0; y < height + pad; y++) {
    const row = plane + ((y * stride) << 2);
    if (y >= height) memory.copy(row, plane + (((y % height) * stride) << 2), width * 12);
    for (let x = width; x < width + pad; x++) {
      memory.copy(row + x * 12, row + (x % width) * 12, 12);
    }
  }
}

/** Band: one picture. `images` [B, height, width, 3] to `out` [B, pyramid]. */
export function pyramid(
  band: i32, thread: i32, images: usize, out: usize, height: i32, width: i32, pad: i32, levels: i32,
): void {
  let plane = out + ((band * pyramidSize(height, width, pad, levels)) << 2);
  const image = images + ((band * height * width * 3) << 2);
  for (let y = 0; y < height; y++) {
    memory.copy(plane + ((y * (width + pad) * 3) << 2), image + ((y * width * 3) << 2), width * 12);
  }
  wrapAround(plane, height, width, pad);
  for (let level = 1; level < levels; level++) {
    const above = plane;
    const stride = (width + pad) * 12;
    plane += planeSize(height, width, pad) << 2;
    height >>= 1;
    width >>= 1;
    for (let y = 0; y < height; y++) {
      let to = plane + y * (width + pad) * 12;
      let from = above + 2 * y * stride;
      for (let x = 0; x < width; x++, from += 24, to += 12) {
        for (let c: usize = 0; c < 12; c += 4) {
          const sum = load<f32>(from + c) + load<f32>(from + c + 12) + load<f32>(from + stride + c) + load<f32>(from + stride + c + 12);
          store<f32>(to + c, sum * 0.25);
        }
      }
    }
    wrapAround(plane, height, width, pad);
  }
}

/** Band: one picture. Sums the groups' pyramid gradients and carries them back to the picture: out [B, height, width, 3]. */
export function gatherGradient(
  band: i32, thread: i32, gradients: usize, groups: i32, height: i32, width: i32, pad: i32, levels: i32, out: usize,
): void {
  const size = pyramidSize(height, width, pad, levels);
  const total = gradients + ((band * groups * size) << 2);
  for (let group = 1; group < groups; group++) {
    const other = total + ((group * size) << 2);
    for (let i: usize = 0; i < <usize>size << 2; i += 4) store<f32>(total + i, load<f32>(total + i) + load<f32>(other + i));
  }
  // From the coarsest plane up: fold the continued border back, then give every quarter of a mean its share.
  let end = size;
  for (let level = levels - 1; level >= 0; level--) {
    const h = height >> level;
    const w = width >> level;
    const stride = (w + pad) * 12;
    end -= planeSize(h, w, pad);
    const plane = total + (<usize>end << 2);
    if (level < levels - 1) {
      const below = plane + (planeSize(h, w, pad) << 2);
      const h2 = h >> 1;
      const w2 = w >> 1;
      for (let y = 0; y < 2 * h2; y++) {
        for (let x = 0; x < 2 * w2; x++) {
          const from = below + (y >> 1) * (w2 + pad) * 12 + (x >> 1) * 12;
          const to = plane + y * stride + x * 12;
          for (let c: usize = 0; c < 12; c += 4) store<f32>(to + c, load<f32>(to + c) + 0.25 * load<f32>(from + c));
        }
      }
    }
    for (let y = 0; y < h + pad; y++) {
      for (let x = y < h ? w : 0; x < w + pad; x++) {
        const from = plane + y * stride + x * 12;
        const to = plane + (y % h) * stride + (x % w) * 12;
        for (let c: usize = 0; c < 12; c += 4) store<f32>(to + c, load<f32>(to + c) + load<f32>(from + c));
      }
    }
  }
  for (let y = 0; y < height; y++) {
    memory.copy(out + ((band * height + y) * width) * 12, total + y * (width + pad) * 12, width * 12);
  }
}
