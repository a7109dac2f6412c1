/**
 * Orbit baselines on a zoo: `npm run bench -- orbit ZOO [QUERIES]`. Says what they take and a digest of their answers, so that two checkouts can take turns.
 * WEIGHTLOOM_BENCH_PLAIN=1 encodes every one of the 384 copies of a picture, as for an encoder that knows no shorter way.
 */
import { createHash } from 'node:crypto';
import { orbitBaselines } from '../src/evaluation/index.ts';
import { createEncoder, openStudy, startBackend, zooFolder } from '../src/index.ts';

const [zoo = 'embedded', queries = '24'] = process.argv.slice(3);
await startBackend();
const encoder = await createEncoder('random-gram', {}, { seed: 0 });
const study = await openStudy({ zoo: zooFolder(zoo), encoder, limit: { heldOut: Number(queries) } });
const { spec, train, heldOut, size } = study;
const [trainPictures, queryPictures, trainFeatures] = (await Promise.all([
  train.pictures.data(),
  heldOut.pictures.data(),
  train.features.data(),
])) as Float32Array[];
const { features, tokens, featureWidth } = encoder;
let first = { at: 0, cpu: process.cpuUsage() };
const [cpu, started] = [process.cpuUsage(), performance.now()];
const found = await orbitBaselines({
  ...{ spec, trainWeights: train.weights, trainPictures, queryPictures, trainFeatures, size },
  encoder: process.env.WEIGHTLOOM_BENCH_PLAIN ? { features, tokens, featureWidth } : encoder,
  onProgress: done => {
    if (done === 0) first = { at: performance.now(), cpu: process.cpuUsage() };
  },
});
const ended = performance.now();
const seconds = ({ user, system }: NodeJS.CpuUsage) => (user + system) / 1e6;
const each = (total: number) => (total / heldOut.names.length).toFixed(3);
const digest = (answer: Float32Array) => createHash('sha256').update(answer).digest('hex').slice(0, 8);
console.log(
  [
    `${heldOut.names.length} textures against ${train.names.length} NCAs of ${size} px: ${((ended - started) / 1000).toFixed(1)} s`,
    `${seconds(process.cpuUsage(cpu)).toFixed(1)} s of processors`,
    `a texture, once the training pictures are encoded, ${each((ended - first.at) / 1000)} s, of processors ${each(seconds(process.cpuUsage(first.cpu)))} s`,
    `peak ${Math.round(process.resourceUsage().maxRSS / 1024)} MiB`,
    ...Object.entries(found).map(([name, answer]) => `${name} ${digest(answer)}`),
  ].join(', '),
);
process.exit(0);
