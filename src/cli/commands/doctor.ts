/** `weightloom doctor`: what computes here, how fast, and why nothing better does. */
import { cpus, totalmem } from 'node:os';
import Table from 'cli-table3';
import type { Command } from 'commander';
import { buildNames, statistics } from '../../compute/index.ts';
import { type BackendReport, startBackend, tf } from '../../tensor/index.ts';
import { sharpState } from '../sharp.ts';

/** GFLOP/s of a 512 x 512 x 512 product: the best of a few, after a warm-up. */
function productSpeed(): number {
  const n = 512;
  const a = tf.ones<tf.Rank.R2>([n, n]);
  let best = Number.POSITIVE_INFINITY;
  for (let i = 0; i < 8; i++) {
    const start = performance.now();
    const c = tf.matMul(a, a);
    c.dataSync();
    if (i > 1) best = Math.min(best, performance.now() - start);
    c.dispose();
  }
  a.dispose();
  return (2 * n ** 3) / best / 1e6;
}

/** The lines of the report, as pairs. */
export function diagnosis(report: BackendReport): [string, string][] {
  const cores = cpus();
  return [
    ['backend', report.summary],
    ...report.passedOver.map(({ backend, reason }): [string, string] => [`not ${backend}`, reason]),
    ['kernels', buildNames[report.build]],
    ['threads', `${report.threads} of ${cores.length} cores (WEIGHTLOOM_THREADS changes it)`],
    ['512 x 512 product', `${productSpeed().toFixed(0)} GFLOP/s`],
    ['tensor memory', `${(statistics().limit / 2 ** 30).toFixed(1)} GiB at most`],
    ['machine', `${cores[0]?.model.trim() ?? 'unknown'}, ${(totalmem() / 2 ** 30).toFixed(0)} GiB`],
    ['Node', `${process.version}, V8 ${process.versions.v8}, ${process.platform} ${process.arch}`],
    ['tfjs', tf.version_core],
  ];
}

async function doctor(): Promise<void> {
  const table = new Table({
    style: { head: [], border: [], compact: true },
    colWidths: [30, 90],
    wordWrap: true,
  });
  table.push(...diagnosis(await startBackend()), ['pictures', await sharpState()]);
  console.log(table.toString());
}

export function register(program: Command): void {
  program
    .command('doctor')
    .description('Say which backend computes here, how fast, and why a better one was not taken')
    .addHelpText('after', '\nExample:\n  weightloom doctor\n  WEIGHTLOOM_BACKEND=loom weightloom doctor')
    .action(doctor);
}
