/** Sequential denoisers: weights as tokens. Importing this registers them. */
export { conditionEmbedding } from './context-tokens.ts';
export { type DitConfig, dit } from './dit.ts';
export type { StackConfig } from './stack.ts';
export { checkWeights, hiddenTokens, mixedTokens, type TokenKind, type TokenLayout } from './tokens.ts';
export { transformer } from './transformer.ts';
export { type TransformerHiddenConfig, transformerHidden } from './transformer-hidden.ts';
export { transformerTyped } from './transformer-typed.ts';
