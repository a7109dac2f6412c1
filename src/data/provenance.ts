/** What a zoo's manifest tells of its making, where that is known: how it was built, and what its base was trained on. */
import { join } from 'node:path';
import * as E from 'fp-ts/lib/Either.js';
import type * as TE from 'fp-ts/lib/TaskEither.js';
import * as t from 'io-ts';
import { attempt, decode, type Failure, refuse, settle } from '../config/index.ts';
import { decodeImage, fileInside, type ImageOptions, type Picture, readBytes } from '../formats/index.ts';
import { ZooBuildCodec, type ZooBuildConfig } from './building/config.ts';
import { MANIFEST, sha256, type Zoo } from './zoo.ts';

/** The configuration that `zoo build` made a zoo by; null for zoos made otherwise, or by a version whose configurations are others. */
export function buildConfigOf({ manifest }: Pick<Zoo, 'manifest'>): ZooBuildConfig | null {
  const config = decode(ZooBuildCodec, manifest.provenance.config, MANIFEST);
  return E.isRight(config) ? config.right : null;
}

const BaseCodec = t.type({ picture: t.string, loss: t.number });

/** What the base of a zoo was trained on, and the texture loss it reached there; null where the zoo does not keep it. */
export const readBasePicture = (
  { folder, manifest }: Pick<Zoo, 'folder' | 'manifest'>,
  options: ImageOptions = {},
): TE.TaskEither<Failure, { readonly picture: Picture; readonly loss: number } | null> =>
  attempt(folder, async () => {
    const { base } = manifest.provenance;
    if (!BaseCodec.is(base)) return null;
    const path = await fileInside(folder, base.picture, join(folder, MANIFEST), 'provenance.base.picture');
    const bytes = await settle(readBytes(path));
    if (sha256(bytes) !== manifest.files[base.picture])
      refuse(path, `the picture that ${MANIFEST} was written for`, 'another one (SHA-256)');
    return { picture: await settle(decodeImage(bytes, path, options)), loss: base.loss };
  });

const RenderingCodec = t.type({ steps: t.number, seed: t.number });

/** NCA steps and mask seed of a zoo's renderings; null where it does not say. */
export function renderingOf({ manifest: { provenance } }: Pick<Zoo, 'manifest'>) {
  const told = provenance.rendering ?? (provenance.config as Record<string, unknown> | undefined)?.rendering;
  return RenderingCodec.is(told) ? { steps: told.steps, seed: told.seed } : null;
}
