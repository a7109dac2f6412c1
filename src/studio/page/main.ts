import { buildGraph, ncaNetwork } from '../../../graphs/index.ts';
import { align, SPECS, weightCount } from '../../nca/index.ts';

const worker = new Worker(new URL('./engine-worker.ts', import.meta.url), { type: 'module' });
worker.postMessage({ spec: SPECS.compact, flat: new Float32Array(weightCount(SPECS.compact)) });
console.log(buildGraph(ncaNetwork(SPECS.compact), new Float32Array(1312)).order, align);
