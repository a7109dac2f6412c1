/** What a run folder says of the zoo that its model was trained on. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as t from 'io-ts';
import { decode, natural, optional, orThrow, parseYaml, refuse } from '../../config/index.ts';

const TrainedOnCodec = t.type({
  zoo: t.string,
  limit: t.type({ train: optional(natural), heldOut: optional(natural) }),
});
/** A zoo, and how many NCAs of each split were used. */
export type TrainedOn = t.TypeOf<typeof TrainedOnCodec>;

/**
 * The zoo that the model of a run was trained on, by the configuration beside it.
 * @throws UserError when there is none, or it is no configuration of a training
 */
export function trainedOn(folder: string): TrainedOn {
  const path = join(folder, 'config.yaml');
  if (!existsSync(path)) {
    refuse(path, 'the configuration of the training, which names its zoo', 'nothing there', {
      hint: 'Name the zoo: --zoo FOLDER',
    });
  }
  const found = parseYaml(readFileSync(path, 'utf8'), path);
  return orThrow(decode(TrainedOnCodec, found, path, { unknownKeys: 'allow' }));
}
