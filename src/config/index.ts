/** Failures as values, decoding, configuration. */

/** io-ts, for the codecs of user files: they need no other package than this one. */
export * as t from 'io-ts';
export { type BackendName, backendNamed, backendOfConfig } from './backend.ts';
export {
  finite,
  listOf,
  mappingOf,
  natural,
  notNegative,
  optional,
  positive,
  share,
  whole,
} from './codecs.ts';
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
  plain,
  printable,
  refuse,
  settle,
  suggestion,
  systemError,
  systemFailure,
  UserError,
} from './failure.ts';
export { about, LAUNCHER, packageRoot } from './package.ts';
export { pastable, quoted } from './shell.ts';
export { isInData, type Trust, type Trusted, trusting, userModules } from './trust.ts';
export { breaksClause, type Clauses, checkClauses, importKind, inUserFile } from './user-contract.ts';
export { beside, importFile, importUserFile, isPath } from './user-module.ts';
export { parseYaml } from './yaml.ts';
