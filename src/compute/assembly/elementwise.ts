// What is done element by element: unary and binary functions, and here selection, casts, sums of many addends, and a step of Adam.
import { at, loadPart, madd, put, splat, storePart } from "./vector";

export { binary } from "./binary";
export { unary } from "./unary";

/** out = condition ? a : b, elements [band * share, ...); `each` consecutive elements share a condition byte. */
export function select(
  band: i32, thread: i32, condition: usize, a: usize, b: usize, out: usize, length: i32, share: i32, each: i32,
): void {
  const end = min(length, (band + 1) * share);
  let i = band * share;
  if (each == 1) {
    for (; i + 4 <= end; i += 4) {
      const bytes = v128.load32_zero(condition + <usize>i);
      const mask = i32x4.ne(i32x4.extend_low_i16x8_u(i16x8.extend_low_i8x16_u(bytes)), i32x4.splat(0));
      const p = <usize>i << 2;
      v128.store(out + p, v128.bitselect(v128.load(a + p), v128.load(b + p), mask));
    }
  }
  for (; i < end; i++) {
    const p = <usize>i << 2;
    store<u32>(out + p, load<u8>(condition + <usize>(i / each)) != 0 ? load<u32>(a + p) : load<u32>(b + p));
  }
}

/** Bytes 0 and 1 to floats. */
export function boolToFloat(band: i32, thread: i32, x: usize, out: usize, length: i32, share: i32): void {
  const end = min(length, (band + 1) * share);
  let i = band * share;
  for (; i + 4 <= end; i += 4) {
    const bytes = v128.load32_zero(x + <usize>i);
    v128.store(out + (<usize>i << 2), f32x4.convert_i32x4_s(i32x4.extend_low_i16x8_u(i16x8.extend_low_i8x16_u(bytes))));
  }
  for (; i < end; i++) store<f32>(out + (<usize>i << 2), <f32>load<u8>(x + <usize>i));
}

/** Whole numbers to floats, and (toInt) floats to whole numbers towards zero. */
export function castNumber(band: i32, thread: i32, x: usize, out: usize, length: i32, share: i32, toInt: i32): void {
  const end = min(length, (band + 1) * share);
  for (let i = band * share; i < end; i += 4) {
    const left = end - i;
    const p = <usize>i << 2;
    const v = left >= 4 ? v128.load(x + p) : loadPart(x + p, left);
    const w = toInt ? i32x4.trunc_sat_f32x4_s(v) : f32x4.convert_i32x4_s(v);
    if (left >= 4) v128.store(out + p, w);
    else storePart(out + p, w, left);
  }
}

/** out[i] = sum over `count` addends (their addresses at `list`) of element i. */
export function addMany(band: i32, thread: i32, list: usize, count: i32, out: usize, length: i32, share: i32): void {
  const end = min(length, (band + 1) * share);
  let i = band * share;
  // Four vectors at a time wait for all addends.
  for (; i + 16 <= end; i += 16) {
    const p = <usize>i << 2;
    let a = splat(0), b = a, c = a, d = a;
    for (let t = 0; t < count; t++) {
      const from = <usize>load<u32>(list + (<usize>t << 2)) + p;
      a = f32x4.add(a, v128.load(from));
      b = f32x4.add(b, v128.load(from, 16));
      c = f32x4.add(c, v128.load(from, 32));
      d = f32x4.add(d, v128.load(from, 48));
    }
    v128.store(out + p, a);
    v128.store(out + p, b, 16);
    v128.store(out + p, c, 32);
    v128.store(out + p, d, 48);
  }
  for (; i < end; i += 4) {
    let sum = splat(0);
    for (let t = 0; t < count; t++) sum = f32x4.add(sum, at(<usize>load<u32>(list + (<usize>t << 2)), i, end));
    put(out, i, end, sum);
  }
}

/** One Adam step (Kingma and Ba 2015), in place, with decoupled weight decay (Loshchilov and Hutter 2019). */
export function adam(
  band: i32, thread: i32, value: usize, gradient: usize, m: usize, v: usize, length: i32, share: i32,
  beta1: f32, beta2: f32, rate: f32, correction2: f32, epsilon: f32, decay: f32, scale: f32,
): void {
  const end = min(length, (band + 1) * share);
  const b1 = splat(beta1), c1 = splat(1 - beta1), b2 = splat(beta2), c2 = splat(1 - beta2);
  const r = splat(-rate), k2 = splat(correction2), e = splat(epsilon), keep = splat(decay), g0 = splat(scale);
  let i = band * share;
  for (; i + 8 <= end; i += 8) {
    const o = <usize>i << 2;
    const g = f32x4.mul(v128.load(gradient + o), g0), h = f32x4.mul(v128.load(gradient + o, 16), g0);
    const m1 = madd(b1, v128.load(m + o), f32x4.mul(c1, g)), n1 = madd(b1, v128.load(m + o, 16), f32x4.mul(c1, h));
    const v1 = madd(b2, v128.load(v + o), f32x4.mul(c2, f32x4.mul(g, g)));
    const w1 = madd(b2, v128.load(v + o, 16), f32x4.mul(c2, f32x4.mul(h, h)));
    const s = f32x4.div(m1, f32x4.add(f32x4.mul(f32x4.sqrt(v1), k2), e));
    const t = f32x4.div(n1, f32x4.add(f32x4.mul(f32x4.sqrt(w1), k2), e));
    const x = madd(r, s, f32x4.mul(v128.load(value + o), keep));
    const y = madd(r, t, f32x4.mul(v128.load(value + o, 16), keep));
    v128.store(m + o, m1);
    v128.store(m + o, n1, 16);
    v128.store(v + o, v1);
    v128.store(v + o, w1, 16);
    v128.store(value + o, x);
    v128.store(value + o, y, 16);
  }
  for (; i < end; i += 4) {
    const g = f32x4.mul(at(gradient, i, end), g0);
    const m1 = madd(b1, at(m, i, end), f32x4.mul(c1, g));
    const v1 = madd(b2, at(v, i, end), f32x4.mul(c2, f32x4.mul(g, g)));
    const step = f32x4.div(m1, f32x4.add(f32x4.mul(f32x4.sqrt(v1), k2), e));
    const x = madd(r, step, f32x4.mul(at(value, i, end), keep));
    put(m, i, end, m1);
    put(v, i, end, v1);
    put(value, i, end, x);
  }
}
