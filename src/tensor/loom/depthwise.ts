/** Depthwise convolutions of NHWC pictures with both gradients, for one output channel to an input channel. */
import { type TensorInfo, util } from '@tensorflow/tfjs-core';
import { kernel, parallel } from '../../compute/index.ts';
import { infoOf } from './conv.ts';
import { allFloat, define, filled } from './kernels.ts';
import { geometryOf, isBeyond, type Window } from './window.ts';

type Shapes = { readonly inputShape: number[]; readonly filterShape: number[] };

/** The three operators: their inputs, the shape of what they compute, and what a band of their kernel is. */
const operators: readonly {
  readonly name: string;
  readonly kernel: string;
  readonly inputs: readonly [string, string];
  readonly shape: (w: Window, shapes: Shapes) => number[];
  readonly bands: (w: Window) => number;
}[] = [
  {
    name: 'DepthwiseConv2dNative',
    kernel: 'depthwise',
    inputs: ['x', 'filter'],
    shape: w => w.outShape,
    bands: w => w.batchSize * w.outHeight,
  },
  {
    name: 'DepthwiseConv2dNativeBackpropInput',
    kernel: 'depthwiseInput',
    inputs: ['dy', 'filter'],
    shape: w => w.inShape,
    bands: w => w.batchSize * w.inHeight,
  },
  {
    name: 'DepthwiseConv2dNativeBackpropFilter',
    kernel: 'depthwiseFilter',
    inputs: ['x', 'dy'],
    shape: (_, { filterShape }) => filterShape,
    bands: w => w.filterHeight * w.filterWidth,
  },
];

for (const operator of operators) {
  define(operator.name, (inputs, attributes, backend) => {
    const [a, b] = operator.inputs.map(name => inputs[name]) as [TensorInfo, TensorInfo];
    if (!allFloat(a, b)) return undefined;
    const shapes: Shapes = {
      inputShape: attributes.inputShape ?? inputs.x.shape,
      filterShape: attributes.filterShape ?? inputs.filter.shape,
    };
    const w = infoOf(shapes.inputShape, shapes.filterShape, attributes, true);
    if (isBeyond(w) || w.outChannels !== w.inChannels || w.dataFormat !== 'channelsLast') return undefined;
    const shape = operator.shape(w, shapes);
    return filled(backend, shape, 'float32', out => {
      if (util.sizeFromShape(shape) === 0) return;
      const addresses = [backend.address(a), backend.address(b), out];
      const dilations = [w.dilationHeight, w.dilationWidth];
      parallel(
        kernel(operator.kernel),
        operator.bands(w),
        ...addresses,
        ...geometryOf(w),
        ...dilations,
        w.batchSize,
      );
    });
  });
}
