/** Files for other programs: NCAs, their parameter graphs and trained denoisers, for PyTorch, NumPy, ONNX, torch_geometric and graph tools. */
export { DENOISER_FILES, exportDenoiser } from './denoiser.ts';
export { ncaOnnx } from './nca-onnx.ts';
export {
  exportNcas,
  fits,
  type NamedNca,
  NCA_TARGETS,
  type NcaTarget,
  ncaTargetAbout,
} from './nca-targets.ts';
