/** Which programs of a GPU a test has run: one that is compiled and never compared would be a kernel without a contract. */
import type { Gpu } from '../src/compute/index.ts';

/** Watches a device from now on. @returns the labels of programs that were compiled and did not run */
export function watchPrograms(gpu: Gpu): () => string[] {
  const compiled = new Set<string>();
  const ran = new Set<string>();
  const { program, run } = { program: gpu.program.bind(gpu), run: gpu.run.bind(gpu) };
  gpu.program = (label, code) => {
    compiled.add(label);
    return program(label, code);
  };
  gpu.run = (given, ...rest) => {
    ran.add(given.label);
    run(given, ...rest);
  };
  return () => [...compiled].filter(label => !ran.has(label));
}
