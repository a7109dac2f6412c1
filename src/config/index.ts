/** Failures as values, decoding, configuration. */

export {
  CONFIGS,
  type ComposedConfig,
  type ComposeOptions,
  composeConfig,
  loadConfig,
  mergeConfigs,
  printConfig,
} from './compose.ts';
export { decode, show } from './decode.ts';
export {
  attempt,
  describe,
  type Failure,
  failure,
  orThrow,
  refuse,
  settle,
  suggestion,
  systemFailure,
  UserError,
} from './failure.ts';
export { importUserFile, isPath } from './user-module.ts';
