/** Names for what decides the weights of a zoo. */
import { createHash } from 'node:crypto';
import type { ZooBuildConfig } from './config.ts';

/** JSON with the keys of every object in order, so that equal values have equal texts. */
const canonical = (value: unknown): string =>
  JSON.stringify(value, (_, part: unknown) =>
    typeof part === 'object' && part !== null && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)))
      : part,
  );

const shortHash = (text: string) => createHash('sha256').update(text).digest('hex').slice(0, 12);

/**
 * A short name for everything in a configuration that decides what the weights for a picture will be, and for where pictures lie. Which textures
 * there are is no part of it: every finished NCA remembers the picture and the base it was trained on.
 */
export function configHash(config: ZooBuildConfig): string {
  const { out: _, together: __, textures, limit: ___, ...rest } = config;
  const { format: ____, ...picture } = config.picture;
  const images = Array.isArray(textures) ? null : textures.images;
  return shortHash(canonical({ ...rest, picture, images }));
}
