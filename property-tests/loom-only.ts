import { test } from 'uvu';
import { startBackend } from '../src/tensor/index.ts';

/**
 * For tests of the loom backend itself, such as bit-equality over threads: `test` where loom runs; where WEIGHTLOOM_BACKEND chooses another
 * backend, the tests are skipped and named.
 */
export async function loomOnly(): Promise<(name: string, body: () => void | Promise<void>) => void> {
  const { backend } = await startBackend({ prefer: 'loom' });
  return (name, body) => {
    if (backend === 'loom') return test(name, body);
    console.log(`skipped on ${backend}: ${name}`);
    test.skip(name, body);
  };
}
