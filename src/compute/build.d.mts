export const kernelFolders: string[];
export const builds: string[];
export function wasmPath(folder: string, build: string): string;
export function ensureKernels(wantedBuilds?: readonly string[]): Promise<void>;
