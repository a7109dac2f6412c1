/** Zoos and trained models from the Hugging Face hub. */
import { join } from 'node:path';
import type * as TE from 'fp-ts/lib/TaskEither.js';
import { attempt, decode, type Failure, orThrow, refuse, settle } from '../config/index.ts';
import {
  type PulledFolder,
  type PullOptions,
  pullFolder,
  readJson,
  readSafetensorsHeader,
} from '../formats/index.ts';
import { MANIFEST, readZoo, ZooManifestCodec } from './zoo.ts';

type Options = Omit<PullOptions, 'select' | 'check'>;

/** Brings a zoo here: what its manifest names, and nothing else of the repository. */
export const pullZoo = (options: Options): TE.TaskEither<Failure, PulledFolder> =>
  pullFolder({
    ...options,
    async select(names, fetch) {
      if (!names.includes(MANIFEST)) {
        refuse(options.source, `a zoo (a folder with ${MANIFEST})`, `${names.length} files without it`, {
          hint: 'Put the path of the folder in the repository behind the name.',
        });
      }
      const path = await fetch(MANIFEST);
      const { files } = orThrow(decode(ZooManifestCodec, await settle(readJson(path)), path));
      return [MANIFEST, ...Object.keys(files)];
    },
    check: folder => readZoo(folder),
  });

/** What a run folder keeps besides its model: data and pictures, never programs. */
const RUN_FILE = /\.(safetensors|json|jsonl|yaml|csv|md|tex|txt|html|svg|png|jpe?g|gif|webp)$/i;
const MODEL = 'model.safetensors';

/** Brings the run folder of a trained model here, as `sample --run` takes it. */
export const pullRun = (options: Options): TE.TaskEither<Failure, PulledFolder> =>
  pullFolder({
    ...options,
    async select(names) {
      if (!names.includes(MODEL))
        refuse(
          options.source,
          `a trained model (a folder with ${MODEL})`,
          `${names.length} files without it`,
        );
      return names.filter(name => RUN_FILE.test(name) && !name.split('/').some(part => part.startsWith('.')));
    },
    check: folder => attempt(folder, () => settle(readSafetensorsHeader(join(folder, MODEL)))),
  });
