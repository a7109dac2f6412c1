/** The choice between the two ways to compute a convolution. */
import { type Convolution, gatheredProduct } from './direct.ts';
import { suitsWinograd, winograd } from './winograd.ts';

export type { Convolution };

export function convolve(convolution: Convolution): void {
  if (suitsWinograd(convolution)) winograd(convolution);
  else gatheredProduct(convolution);
}
