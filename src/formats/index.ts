/** Files: images, safetensors, npy/npz, zip, atomic writes. */
export {
  bytesOf,
  type ElementType,
  type NdArray,
  type NumericArray,
  shapeText,
  sizeOf,
} from './arrays.ts';
export {
  makeFolder,
  removeLeftovers,
  writeAtomically,
  writeAtomicallyNow,
  writeFolderAtomically,
} from './atomic.ts';
export { fileInside, inside, readBytes, readJson } from './files.ts';
export { type FetchedWeights, type FetchOptions, fetchWeights, verifyFetched } from './hub.ts';
export { type PulledFolder, type PullOptions, pullFolder } from './hub-folder.ts';
export {
  checkImage,
  decodeImage,
  encodeGif,
  encodePicture,
  encodePng,
  type ImageOptions,
  type Picture,
  pictureBytes,
  pictureSize,
  readImage,
  writeGif,
  writePng,
} from './images.ts';
export { parseJson } from './json.ts';
export { lock } from './lock.ts';
export { csvCell, escapeMarkup, markdownCell } from './markup.ts';
export {
  encodeNpy,
  encodeNpyStrings,
  type NpyRows,
  openNpyRows,
  readNpy,
  readNpyStrings,
  writeNpy,
} from './npy.ts';
export { encodeOnnx, type OnnxModel, type OnnxNode } from './onnx.ts';
export {
  readSafetensors,
  readSafetensorsHeader,
  type Safetensors,
  type StreamedArray,
  writeSafetensors,
} from './safetensors.ts';
export type { SafetensorsHeader } from './safetensors-header.ts';
export { readSafetensorsRows } from './safetensors-rows.ts';
export { isTorchSave } from './torch-file.ts';
export { readTorchState, type TensorInfo, type TorchStateOptions } from './torch-state.ts';
export { encodeTorchState } from './torch-write.ts';
export { readNpz, withZip, type ZipArchive } from './zip.ts';
