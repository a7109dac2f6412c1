/** Failures as values, decoding, configuration. */

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
