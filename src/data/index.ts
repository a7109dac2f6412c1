/** Zoos of trained NCAs, importers of other formats, weights by argument, procedural textures. */
export { type Added, type Addition, type AddOptions, addToZoo } from './add.ts';
export * from './building/index.ts';
export { alikeEntries, alikePicture } from './duplicates.ts';
export { type ImportOptions, type ImportSummary, importZoo } from './import.ts';
export { openModelsJson } from './importers/models-json.ts';
export { openReferenceSet, type ReferenceOptions } from './importers/reference.ts';
export type { ZooSource } from './importers/source.ts';
export { openWeightFiles, readTorchNca } from './importers/weight-files.ts';
export { buildConfigOf, readBasePicture, renderingOf } from './provenance.ts';
export { pullRun, pullZoo } from './pull.ts';
export { type RenderOptions, renderFrames, renderNcas } from './render.ts';
export { type GivenSpec, overrule, readSpec, wholeSpec } from './spec-option.ts';
export { fileNames, groupOf, SPLITS, type Split, shortNames, splitsOf } from './split.ts';
export * from './textures/index.ts';
export { loadWeights, WEIGHTS_HELP, writeWeights } from './weights.ts';
export {
  entryIndex,
  readZoo,
  readZooImage,
  readZooImageFile,
  splitIndices,
  type Zoo,
  type ZooEntry,
  ZooEntryCodec,
  type ZooManifest,
  ZooManifestCodec,
  type ZooPictures,
  zooHash,
  zooWeights,
} from './zoo.ts';
export { openZoo, type ZooRows } from './zoo-rows.ts';
export { writeZoo, type ZooDraft, type ZooImage } from './zoo-write.ts';
