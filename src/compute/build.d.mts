export const kernelFolders: string[];
/**
 * Builds of the kernels by the instructions they need: plain SIMD, SIMD with relaxed fused multiply-add, and the same in 256-bit vectors.
 */
export type Build = 'simd' | 'fma' | 'wide';
export const builds: Build[];
export const nodeMajor: number;
export function preferredBuilds(): Build[];
export function upToDate(build: Build): boolean;
export function wasmPath(folder: string, build: Build): string;
export function ensureKernels(wantedBuilds?: readonly Build[]): Promise<void>;
