/** What the page and the thread that grows its NCAs say to each other. */
import type { NcaSpec, SymmetryElement } from '../../nca/index.ts';

/** NCAs of one spec that grow together. */
export interface GrowthRequest {
  readonly spec: NcaSpec;
  /** [B * D] */
  readonly weights: Float32Array;
  readonly size: number;
  /** [B] */
  readonly seeds: readonly number[];
  /** Moves the masks with the grid. */
  readonly turn?: SymmetryElement;
  /** What computes the steps; default the kernels in WebAssembly. */
  readonly on?: Computer;
}

/** What can compute steps: the kernels in WebAssembly, or those in WGSL. */
export type Computer = 'wasm' | 'webgpu';

/** What can be asked, by name: what is given and what comes back. */
export interface Calls {
  start: {
    given: { readonly build: 'fma' | 'simd'; readonly module: WebAssembly.Module; readonly threads: number };
    back: { readonly threads: number };
  };
  /** The name of the adapter that WebGPU gives, or null where it gives none. */
  adapter: { given: undefined; back: string | null };
  make: { given: GrowthRequest & { readonly id: number }; back: undefined };
  /** Steps of several growths together, as many as fit into `budget` milliseconds and at most `most`; then their pictures. */
  advance: {
    given: {
      readonly ids: readonly number[];
      readonly most: number;
      readonly budget: number;
      readonly channels: readonly number[];
    };
    back: Frame;
  };
  reset: { given: { readonly ids: readonly number[] }; back: undefined };
  erase: {
    given: {
      readonly ids: readonly number[];
      readonly x: number;
      readonly y: number;
      readonly radius: number;
    };
    back: undefined;
  };
  /** How far the picture of `b` is from that of `a` acted on, the largest difference over its numbers. */
  difference: {
    given: { readonly a: number; readonly b: number; readonly element: SymmetryElement };
    back: number;
  };
  drop: { given: { readonly ids: readonly number[] }; back: undefined };
}

/** The pictures after some steps. */
export interface Frame {
  /** Steps since the seed. */
  readonly steps: number;
  /** Steps done just now, of each growth, and the milliseconds they took. */
  readonly done: number;
  readonly busy: number;
  /** Why WebGPU computed these steps no more, and WebAssembly did: a sentence. From then on it computes all of this growth's. */
  readonly fault?: string;
  /** One for each NCA, growth by growth: bytes [size, size, 4]. */
  readonly pictures: readonly Uint8ClampedArray<ArrayBuffer>[];
}

export interface Request<K extends keyof Calls = keyof Calls> {
  readonly number: number;
  readonly call: K;
  readonly given: Calls[K]['given'];
}
export type Reply =
  | { readonly number: number; readonly back: unknown }
  | { readonly number: number; readonly error: string };
