/** Procedural textures: families of patterns with seeded continuous parameters. */
export { contactSheet } from './contact.ts';
export {
  drawTexture,
  type Parameters,
  type Range,
  SHARED_RANGES,
  sampleParameters,
  type TextureFamily,
  textureFamilies,
} from './families.ts';
