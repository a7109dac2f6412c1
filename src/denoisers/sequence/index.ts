/** Sequential denoisers: weights as tokens. Importing this registers them. */
export { hiddenTokens, mixedTokens, type TokenKind, type TokenLayout } from './tokens.ts';
export { transformer, transformerKind } from './transformer.ts';
