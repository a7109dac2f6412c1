/** Failures as values, decoding, configuration. */
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
