/** What goes wrong on a GPU, in one sentence. Pages use this folder too: nothing in it needs Node. */

/** `absent`: there is none to compute on; `lost`: it went away; `memory`: it is full; `limit`: it cannot bind so much; `refused`: a shader or command. */
export type GpuFault = 'absent' | 'lost' | 'memory' | 'limit' | 'refused';

/** An error of the GPU. Its message is a sentence for the user; numbers computed since the last read are not to be trusted. */
export class GpuError extends Error {
  override readonly name = 'GpuError';
  constructor(
    readonly fault: GpuFault,
    message: string,
  ) {
    super(message);
  }
}

/** A number of bytes for people. */
export const mib = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(1)} MiB`;

/** The first line of what a driver says, cut to what a sentence can hold. */
export const firstLine = (text: string): string => text.trim().split('\n')[0].slice(0, 240);
