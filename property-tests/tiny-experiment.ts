/** An experiment of the user's own that takes no time: its "methods" are seeded numbers that depend on the parameters. For tests of what stands around experiments. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const SOURCE = `
import { comparisonJson } from 'weightloom/report';
import { metricsOf } from 'weightloom/runs';
import { randomStream, t } from 'weightloom';

const metrics = metricsOf({ metrics: [{ name: 'patch-sw', better: 'lower' }, { name: 'ssim', better: 'higher' }] });
const textures = ['dots', 'stripes', 'waves', 'bricks', 'scales', 'grain', 'weave', 'cells', 'moss', 'sand'];

function method(name, kind, level, seed) {
  const values = metric => Float64Array.from(randomStream(seed, name + metric).normals(textures.length, level, 0.05));
  return {
    name,
    kind,
    values: Object.fromEntries(metrics.map(metric => [metric.name, values(metric.name)])),
    health: textures.map(() => 'sound'),
    weights: new Float32Array(),
    pictures: new Float32Array(),
  };
}

export default {
  name: 'tiny',
  question: 'Does a sweep know what it has done?',
  parameters: t.strict({ seed: t.number, rate: t.number, kind: t.string, fails: t.array(t.number) }),
  async run({ run, command }, parameters) {
    if (parameters.fails.includes(parameters.seed)) throw new Error('seed ' + parameters.seed + ' is unlucky');
    const results = [
      method(parameters.kind, 'denoiser', 1 + parameters.rate, parameters.seed),
      method('nearest', 'baseline', 2, 0),
      method('own NCA', 'bound', 0.5, 0),
    ];
    const record = {
      version: 1,
      experiment: 'tiny',
      command,
      config: parameters,
      ...comparisonJson(textures, results, metrics),
    };
    run.write('results.json', JSON.stringify(record));
    run.write('report.html', '<p>tiny</p>');
  },
};
`;

const CONFIG = `# weightloom run ./tiny.ts
seed: 0
rate: 0.1
kind: mlp
# Seeds that fail.
fails: []
`;

/** Writes tiny.ts and tiny.yaml into a folder; returns the path of the experiment. */
export function writeTinyExperiment(folder: string, { sweep = '' }: { sweep?: string } = {}): string {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'tiny.ts'), SOURCE);
  writeFileSync(join(folder, 'tiny.yaml'), `${CONFIG}${sweep}`);
  return join(folder, 'tiny.ts');
}
