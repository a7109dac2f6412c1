/** Functions met less often: sine, cosine, powers, parametric relu, tests for NaN and infinity, logic. */
import { type TensorInfo, util } from '@tensorflow/tfjs-core';
import { kernel, parallel } from '../../compute/index.ts';
import { bandsOf, HEAVY, LIGHT } from './bands.ts';
import { allFloat, define, filled, sizeOf } from './kernels.ts';

// The operations' numbers are those of assembly/functions.ts.
['Sin', 'Cos', 'Log1p', 'Expm1', 'Selu'].forEach((name, code) => {
  define(name, ({ x }, _, backend) => {
    if (!allFloat(x)) return undefined;
    return filled(backend, x.shape, 'float32', out => {
      const [bands, each] = bandsOf(sizeOf(x), HEAVY);
      parallel(kernel('rareUnary'), bands, code, backend.address(x), out, sizeOf(x), each);
    });
  });
});

const binary = [
  ['Pow', 'a', 'b'],
  ['Prelu', 'x', 'alpha'],
  ['EluGrad', 'dy', 'y'],
] as const;
binary.forEach(([name, first, second], code) => {
  define(name, (inputs, _, backend) => {
    const a = inputs[first] as TensorInfo;
    const b = inputs[second] as TensorInfo;
    const same = util.arraysEqual(a.shape, b.shape);
    // A single number of no more axes beside the other operand; other broadcasts are left to tfjs-backend-cpu.
    if (!allFloat(a, b) || !(same || (sizeOf(b) === 1 && b.shape.length <= a.shape.length))) return undefined;
    return filled(backend, a.shape, 'float32', out => {
      const [bands, each] = bandsOf(sizeOf(a), HEAVY);
      const addresses = [backend.address(a), backend.address(b), out];
      parallel(kernel('rareBinary'), bands, code, ...addresses, sizeOf(a), each, 1, same ? 1 : 0);
    });
  });
});

['IsNan', 'IsInf', 'IsFinite'].forEach((name, code) => {
  define(name, ({ x }, _, backend) => {
    if (!allFloat(x)) return undefined;
    return filled(backend, x.shape, 'bool', out => {
      const [bands, each] = bandsOf(sizeOf(x), LIGHT);
      parallel(kernel('testFloats'), bands, code, backend.address(x), out, sizeOf(x), each);
    });
  });
});

['LogicalAnd', 'LogicalOr', 'LogicalNot'].forEach((name, code) => {
  define(name, ({ a, b, x }, _, backend) => {
    const first = a ?? x;
    const second = b ?? first;
    if (first.dtype !== 'bool' || second.dtype !== 'bool') return undefined;
    if (!util.arraysEqual(first.shape, second.shape)) return undefined;
    return filled(backend, first.shape, 'bool', out => {
      const [bands, each] = bandsOf(sizeOf(first), LIGHT);
      const addresses = [backend.address(first), backend.address(second), out];
      parallel(kernel('logic'), bands, code, ...addresses, sizeOf(first), each);
    });
  });
});
