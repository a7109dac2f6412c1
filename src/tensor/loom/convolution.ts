/** What a convolution kernel is given, and the choice between the two ways to compute it. */
import { gatheredProduct } from './direct.ts';
import { suitsWinograd, winograd } from './winograd.ts';

type Pair = readonly [y: number, x: number];

/**
 * A convolution on addresses: pictures x [images, height, width, channels] with filters [taps, channels, outChannels] to
 * out [images, outHeight, outWidth, outChannels]. Output pixel p under tap t sees source pixel (p * stride + t * step + offset) / divide along
 * either axis; where that is not whole or lies outside it sees zeros.
 */
export interface Convolution {
  readonly x: number;
  readonly filter: number;
  readonly out: number;
  readonly images: number;
  readonly from: readonly [height: number, width: number, channels: number];
  readonly to: readonly [height: number, width: number, channels: number];
  readonly taps: Pair;
  readonly stride: Pair;
  readonly step: Pair;
  readonly offset: Pair;
  readonly divide: Pair;
  /** Address of outChannels floats, or 0. */
  readonly bias?: number;
  readonly relu?: boolean;
}

export function convolve(convolution: Convolution): void {
  if (suitsWinograd(convolution)) winograd(convolution);
  else gatheredProduct(convolution);
}
