/** The symmetries of NCA weights: groups that act on weights, states, pictures and masks, and what is built on them. */
export {
  actOnImage,
  actOnMask,
  actOnState,
  actOnWeights,
  colourPart,
  type Floats,
  type Grid,
} from './act.ts';
export {
  type AlignOptions,
  align,
  type Canonical,
  canonicalHidden,
  symmetricDistance,
} from './align.ts';
export { type CanonicalCondition, type CanonicalConditionInput, canonicalCondition } from './condition.ts';
export {
  basisChange,
  colourChange,
  compose as composeElements,
  describeElement,
  type ElementSize,
  GRID_TURNS,
  type GridTurn,
  gridTurn,
  hiddenPermutation,
  hiddenScaling,
  identity as identityElement,
  inverse as inverseElement,
  type SymmetryElement,
  sameElement,
  sizeOf as elementSize,
} from './element.ts';
export {
  type BuiltInSymmetry,
  finiteOrbit,
  SYMMETRIES,
  SYMMETRY_NAMES,
  type SymmetryGroup,
  type SymmetryName,
} from './groups.ts';
export {
  balancing,
  distanceInPlace,
  distanceOfUnits,
  type HiddenUnits,
  hiddenUnits,
} from './hidden-units.ts';
export { type NearestNca, nearestModuloSymmetry } from './nearest.ts';
export { type WeightOrbits, weightOrbits } from './orbits.ts';
export { registerSymmetry, type SymmetryDraft } from './register.ts';
