/** Texture losses on VGG16 features. */
export { gramLoss } from './gram.ts';
export { relaxedTransportLoss } from './relaxed-ot.ts';
export { type SlicedWassersteinOptions, slicedWassersteinLoss } from './sliced-wasserstein.ts';
