/** Failures as values, decoding, configuration. */
export { describe, type Failure, failure, orThrow, suggestion, UserError } from './failure.ts';
