/** The activation at the end of a fused operator. */
import type { TensorInfo } from '@tensorflow/tfjs-core';
import { run } from './kernels.ts';
import type { LoomBackend } from './loom-backend.ts';

const kernels: Record<string, string> = {
  relu6: 'Relu6',
  elu: 'Elu',
  sigmoid: 'Sigmoid',
  leakyrelu: 'LeakyRelu',
};

/** Takes y, whose relu is done already where that is the activation, and gives what is to be returned. `slopes` are prelu's weights. */
export function activate(
  backend: LoomBackend,
  y: TensorInfo,
  activation: string | undefined,
  alpha: number,
  slopes?: TensorInfo,
): TensorInfo {
  if (!activation || activation === 'linear' || activation === 'relu') return y;
  try {
    return activation === 'prelu'
      ? run('Prelu', { x: y, alpha: slopes as TensorInfo }, {}, backend)
      : run(kernels[activation], { x: y }, { alpha }, backend);
  } finally {
    backend.disposeIntermediateTensorInfo(y);
  }
}
