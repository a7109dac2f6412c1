/** Pictures of one's own on their way into a study: read and cut like a zoo's, with NCAs trained like a zoo's, and what there is to know of each. */
import { refuse } from '../config/index.ts';
import {
  alikePicture,
  drawOwnPictures,
  type OwnNcas,
  type OwnPicture,
  pictureFiles,
  trainOwnNcas,
  type Zoo,
  type ZooRecipe,
} from '../data/index.ts';
import type { RunContext } from './experiment.ts';
import type { Protocol } from './protocol.ts';

/** The pictures, read and cut as those of the zoo; broken ones are named, counted and left out: their names, and why. */
export async function readOwnPictures(
  { say, signal, progress, run }: RunContext,
  images: readonly string[],
  recipe: ZooRecipe,
  size: number,
): Promise<{ taken: OwnPicture[]; leftOut: string[] }> {
  if (images.length === 0) refuse('configuration', 'at least one picture', 'none', { field: 'images' });
  const paths = await pictureFiles(images);
  const bar = progress('pictures', paths.length);
  const { taken, leftOut } = await drawOwnPictures(paths, recipe, size, {
    signal,
    onProgress: done => bar.update(done),
  }).finally(() => bar.stop());
  for (const { name, reason } of leftOut) say(`${name} is left out: ${reason}`);
  if (leftOut.length > 0) say(`${leftOut.length} of ${paths.length} pictures cannot be read`);
  if (taken.length === 0)
    refuse(paths[0], 'a picture', paths.length > 1 ? `none in ${paths.length} files` : leftOut[0].reason);
  for (const { name, sha256, doubt, ...picture } of taken) {
    run.pin(`the picture ${name}`, sha256);
    if (doubt !== null) say(`${name}: ${doubt}. It is taken all the same.`);
    const [used, side] = [usedOf(picture, recipe), Math.min(picture.width, picture.height)];
    if (used < LITTLE * side)
      say(
        `${name}: only the middle ${used} of ${side} pixels are looked at; --pixels-per-texel fit takes all.`,
      );
  }
  return { taken, leftOut: leftOut.map(({ name, reason }) => `${name}: ${reason}`) };
}

/** Less than this share of a picture's side is told of. */
const LITTLE = 0.5;

/** Pixels a side of a picture that are used. */
const usedOf = ({ pixelsPerTexel }: Pick<OwnPicture, 'pixelsPerTexel'>, { target }: ZooRecipe) =>
  Math.round(target * pixelsPerTexel);

/** An NCA for each picture, trained as the zoo's were. */
export function trainOwn(
  { run, progress, signal }: RunContext,
  zoo: Zoo,
  recipe: ZooRecipe,
  pictures: readonly OwnPicture[],
): Promise<OwnNcas> {
  const { build } = recipe;
  const key = ['own', build.training, build.seed, zoo.base, pictures.map(({ target }) => target)];
  return run.once(key, () => {
    const bar = progress('train an NCA for each', pictures.length * build.training.iterations);
    return trainOwnNcas(zoo, recipe, pictures, { signal, onProgress: done => bar.update(done) }).finally(() =>
      bar.stop(),
    );
  });
}

/** For each texture loss the share of the zoo's NCAs that have a smaller one; NaN where the zoo does not keep them. */
export function ranksOf(losses: readonly number[], { entries }: Zoo): number[] {
  const known = entries.flatMap(({ provenance: { loss } }) => (typeof loss === 'number' ? [loss] : []));
  return losses.map(loss => known.filter(other => other < loss).length / known.length);
}

/** What there is to know of each picture. */
export async function notesOn(
  pictures: readonly OwnPicture[],
  { study: { train, size } }: Protocol,
  recipe: ZooRecipe,
): Promise<string[][]> {
  const known = (await train.pictures.data()) as Float32Array;
  return pictures.map(({ picture, path, width, height, pixelsPerTexel, doubt }) => {
    const used = usedOf({ pixelsPerTexel }, recipe);
    const like = alikePicture(picture, known, size);
    return [
      `${path}: ${width} x ${height} pixels, of which the middle ${used} x ${used} are used, ${Number(pixelsPerTexel.toPrecision(3))} to a cell of the NCA.`,
      ...(used < LITTLE * Math.min(width, height)
        ? ['That is little of it: --pixels-per-texel fit looks at all.']
        : []),
      ...(doubt === null ? [] : [`A doubtful texture: ${doubt}.`]),
      ...(like < 0
        ? []
        : [
            `It is like ${train.names[like]}, which the model was trained on: it tells little of what is new.`,
          ]),
    ];
  });
}
