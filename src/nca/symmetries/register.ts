/** Groups of one's own beside the built-in ones. */
import { refuse } from '../../config/index.ts';
import { randomStream } from '../../tensor/index.ts';
import { type NcaSpec, SPECS, weightCount } from '../spec.ts';
import { actOnImage, actOnWeights } from './act.ts';
import { compose, describeElement, identity, inverse, sameElement, sizeOf } from './element.ts';
import { SYMMETRIES, SYMMETRY_NAMES, type SymmetryGroup, shared } from './groups.ts';

/** What a group of one's own has to say; the rest follows from it. */
export type SymmetryDraft = Pick<
  SymmetryGroup,
  'name' | 'summary' | 'orthogonal' | 'keepsPicture' | 'sample'
> &
  Partial<Pick<SymmetryGroup, 'obstacle' | 'generator'>>;

/**
 * Opens the list of groups: afterwards denoisers may claim the name, and `verifyDenoiser`, `weightloom verify` and the laws of
 * `weightloom/testing` take it. Elements are those of the whole group (`SymmetryElement`), made with `hiddenPermutation`, `basisChange`,
 * `gridTurn`, ... and `composeElements`. Left out, `obstacle` says that the group is always exact, and `generator` draws by its numbers.
 *
 *     import { registerSymmetry } from 'weightloom';
 *     import { elementSize, hiddenPermutation } from 'weightloom/nca';
 *
 *     registerSymmetry({
 *       name: 'hidden-reversal',
 *       summary: 'hidden units in reverse order',
 *       orthogonal: true,
 *       keepsPicture: true,
 *       sample: (spec, random) => {
 *         const flip = random.bernoulli(0.5);
 *         const order = Uint32Array.from({ length: spec.hidden }, (_, i) => (flip ? spec.hidden - 1 - i : i));
 *         return hiddenPermutation(elementSize(spec), order);
 *       },
 *     });
 *
 * A file for `weightloom verify --symmetry ./my-group.ts` exports such a draft by default and leaves the registering to the command.
 * @throws UserError when the name is taken or malformed, or when samples are not what the draft says: elements of the spec, orthogonal on
 *   the weights, without effect on the picture
 */
export function registerSymmetry(draft: SymmetryDraft): SymmetryGroup {
  const { name, sample } = draft;
  const where = `symmetry ${name}`;
  if (!/^[a-z][a-z0-9]*(-[a-z0-9]+)*$/.test(name))
    refuse('symmetry', 'a name of small letters, digits and dashes', `"${name}"`);
  if (SYMMETRIES[name]) refuse(where, 'a name that is free', 'a group of that name');
  checkSamples(where, draft);
  const group: SymmetryGroup = {
    ...shared,
    obstacle: () => null,
    generator: (spec, i, j, amount) =>
      amount === 0 ? identity(sizeOf(spec)) : sample(spec, randomStream(i, `${name}/${j}`)),
    ...draft,
  };
  SYMMETRIES[name] = group;
  SYMMETRY_NAMES.push(name);
  return group;
}

/** Samples on a small spec, held against what is said of them. */
function checkSamples(where: string, { sample, orthogonal, keepsPicture }: SymmetryDraft): void {
  const spec: NcaSpec = { ...SPECS.compact, name: 'small', channels: 5, hidden: 6 };
  const random = randomStream(0, 'symmetry');
  for (let trial = 0; trial < 8; trial++) {
    const g = sample(spec, random);
    const order = [...(g?.permutation ?? [])].sort((a, b) => a - b);
    if (order.length !== spec.hidden || order.some((unit, i) => unit !== i))
      refuse(where, `elements with a permutation of the spec's ${spec.hidden} hidden units`, `[${order}]`);
    if (!sameElement(compose(g, inverse(g)), identity(sizeOf(spec)), 1e-6))
      refuse(where, 'elements with an inverse', describeElement(g));
    const weights = Float64Array.from(random.normals(weightCount(spec)));
    const stretch = Math.hypot(...actOnWeights(spec, g, weights)) / Math.hypot(...weights);
    // float64 sums of some hundred terms.
    if (orthogonal && Math.abs(stretch - 1) > 1e-9)
      refuse(where, 'orthogonal elements', `${describeElement(g)}, which stretches weights by ${stretch}`);
    const grid = { height: 2, width: 3, data: Float64Array.from(random.uniforms(18)) };
    const moved = actOnImage(spec, g, grid).data;
    if (keepsPicture && moved.some((x, i) => Math.abs(x - grid.data[i]) > 1e-9))
      refuse(where, 'elements that keep the picture', describeElement(g));
  }
}
