/** Texts of shaders, and what their calls have in common. */
import { type TensorInfo, util } from '@tensorflow/tfjs-core';

/** A shader of ours: outputs are the first bindings, then inputs, then `numbers: array<u32>` where there are some. */
export interface Shader {
  readonly label: string;
  readonly code: string;
}

/** Tensors that a shader sees: `name`, or `name: i32` for one that is not of floats. */
export interface Frame {
  readonly outputs: readonly string[];
  readonly inputs: readonly string[];
  /** Functions and memory of the workgroup. */
  readonly before?: string;
  /** Threads of a workgroup. Default 64. */
  readonly threads?: number;
}

const ARGUMENTS =
  '@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) tid: u32';

/** A shader whose body sees its tensors by name, `numbers`, and `wg`, `groups` and `tid`. */
export function shaderOf(
  label: string,
  { outputs, inputs, before = '', threads = 64 }: Frame,
  body: string,
): Shader {
  const binding = (access: string) => (tensor: string, i: number) => {
    const [name, type = 'f32'] = tensor.split(': ');
    return `@group(0) @binding(${i}) var<storage, ${access}> ${name}: array<${type}>;`;
  };
  const read = binding('read');
  const code = [
    ...outputs.map(binding('read_write')),
    ...[...inputs, 'numbers: u32'].map((tensor, i) => read(tensor, outputs.length + i)),
    before,
    `@compute @workgroup_size(${threads}) fn main(${ARGUMENTS}) {`,
    body,
    '}',
  ];
  return { label, code: code.join('\n') };
}

/** A shader of a thread for every `item` below numbers[0], or below `items`. Runs on `flat` workgroups. */
export const perItem = (label: string, frame: Frame, body: string, items = 'numbers[0]'): Shader =>
  shaderOf(
    label,
    frame,
    `let item = (wg.y * groups.x + wg.x) * 64u + tid;\nif (item >= ${items}) { return; }\n${body}`,
  );

/** Workgroups of 64 for so many items, in two dimensions. */
export const flat = (items: number): [number, number] => rows(Math.ceil(items / 64));

/** So many workgroups in two dimensions; those beyond the end have to see for themselves. */
export const rows = (count: number): [number, number] => {
  const across = Math.min(count, 32768);
  return [across, Math.ceil(count / Math.max(across, 1))];
};

/** Sizes and floats as the shaders read them. */
export const words = (...numbers: number[]): Uint32Array => Uint32Array.from(numbers);
export const bits = (x: number): number => new Uint32Array(Float32Array.of(x).buffer)[0];

export const sizeOf = ({ shape }: Pick<TensorInfo, 'shape'>): number => util.sizeFromShape([...shape]);
export const lastOf = ({ shape }: Pick<TensorInfo, 'shape'>): number => shape[shape.length - 1];
