/** What a user says of weights that do not say it themselves: `--spec NAME|FILE`. */
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import type * as TE from 'fp-ts/lib/TaskEither.js';
import * as t from 'io-ts';
import { attempt, decode, type Failure, orThrow, parseYaml, refuse, suggestion } from '../config/index.ts';
import { FILTERS, type NcaSpec, NcaSpecCodec, SPECS } from '../nca/index.ts';

const { name, channels, hidden, filterScale, outputBias, clip, rgb } = NcaSpecCodec.type.props;
const filter = t.keyof(
  Object.fromEntries(FILTERS.map(one => [one, null])) as Record<(typeof FILTERS)[number], null>,
);

/** Everything has a default: sizes and output bias as the tensors have them, the rest as the spec hypernca. */
const SpecFileCodec = t.exact(
  t.partial({
    name,
    channels,
    hidden,
    /** Filters of the perception in the order of the columns of w1; those left out get columns of zeros. */
    filters: t.refinement(
      t.array(filter),
      list => list.length > 0 && new Set(list).size === list.length,
      `a list of ${FILTERS.join(', ')}, none twice`,
    ),
    /** How the columns of w1 go: all filters of a channel together (channel-major) or all channels of a filter. */
    columns: t.keyof({ 'channel-major': null, 'filter-major': null }),
    filterScale,
    outputBias,
    clip: t.exact(t.partial(clip.type.props)),
    rgb: t.exact(t.partial(rgb.type.props)),
  }),
);
/** What a user says of weights: any part of a spec, and how the columns of w1 go. */
export type GivenSpec = t.TypeOf<typeof SpecFileCodec>;

/** The spec of that name, but its sizes, or what a file says. */
export const readSpec = (argument: string): TE.TaskEither<Failure, GivenSpec> =>
  attempt(argument, async () => {
    if (Object.hasOwn(SPECS, argument)) {
      const { name, filterScale, clip, rgb } = SPECS[argument as keyof typeof SPECS];
      return { name, filterScale, clip, rgb };
    }
    const names = Object.keys(SPECS);
    if (!existsSync(argument)) {
      refuse('option --spec', `one of ${names.join(', ')}, or a file`, `"${argument}"`, {
        hint: suggestion(argument, names),
      });
    }
    return orThrow(decode(SpecFileCodec, parseYaml(await readFile(argument, 'utf8'), argument), argument));
  });

/** The sizes that tensors have. */
export type Sizes = Pick<NcaSpec, 'channels' | 'hidden' | 'outputBias'>;

const sizesText = ({ channels, hidden, outputBias }: Sizes) =>
  `${channels} channels, ${hidden} hidden units, ${outputBias ? 'an' : 'no'} output bias`;

const sameSizes = (a: Sizes, b: Sizes) =>
  a.channels === b.channels && a.hidden === b.hidden && a.outputBias === b.outputBias;

/** The named spec of these sizes, or one that is `like` in everything but its sizes. */
function specOfSizes(sizes: Sizes, like: NcaSpec = SPECS.hypernca): NcaSpec {
  if (sameSizes(like, sizes)) return like;
  const bias = sizes.outputBias ? ', output bias' : '';
  return { ...like, ...sizes, name: `${sizes.channels} channels, ${sizes.hidden} hidden${bias}` };
}

/** The spec of tensors of these sizes: as given, else the named one that fits, else like hypernca. `where` names the tensors in a refusal. */
export function specFor(sizes: Sizes, given: GivenSpec | undefined, where: string): NcaSpec {
  if (given === undefined) {
    const named = Object.values<NcaSpec>(SPECS).find(one => sameSizes(one, sizes));
    return named ?? specOfSizes(sizes);
  }
  const wanted = { ...sizes, ...Object.fromEntries(Object.entries(given).filter(([key]) => key in sizes)) };
  if (!sameSizes(wanted, sizes)) refuse(where, `${sizesText(wanted)} (option --spec)`, sizesText(sizes));
  return withGiven(specOfSizes(sizes), given);
}

/** A spec with what the user said instead: its sizes and what was not said stay. */
function withGiven(spec: NcaSpec, given: GivenSpec): NcaSpec {
  const { name, filterScale, clip, rgb } = given;
  const named =
    name !== undefined && Object.hasOwn(SPECS, name) ? SPECS[name as keyof typeof SPECS] : undefined;
  return {
    ...spec,
    name: named && !sameSizes(named, spec) ? `${spec.name} like ${name}` : (name ?? `${spec.name}, as given`),
    filterScale: filterScale ?? spec.filterScale,
    clip: { ...spec.clip, ...clip },
    rgb: { ...spec.rgb, ...rgb },
  };
}

/**
 * The spec of a file that states its own, with what the user said instead.
 * @throws UserError where the two are of other sizes, or the user says how columns go, which such a file has in order
 */
export function overrule(spec: NcaSpec, given: GivenSpec, where: string): NcaSpec {
  const wanted = { ...spec, ...Object.fromEntries(Object.entries(given).filter(([key]) => key in SIZES)) };
  if (!sameSizes(wanted, spec)) refuse(where, `${sizesText(wanted)} (option --spec)`, sizesText(spec));
  const order = (['filters', 'columns'] as const).find(key => given[key] !== undefined);
  if (order) refuse('option --spec', `no ${order} for ${where}, which states its own spec`, `${order}`);
  return withGiven(spec, given);
}
const SIZES: Record<keyof Sizes, true> = { channels: true, hidden: true, outputBias: true };

/** A spec for NCAs that are still to be made: what is not said is as in the one named, else as in hypernca. */
export function wholeSpec(given: GivenSpec): NcaSpec {
  const named = given.name !== undefined && Object.hasOwn(SPECS, given.name);
  const like: NcaSpec = named ? SPECS[given.name as keyof typeof SPECS] : SPECS.hypernca;
  const sizes = {
    channels: given.channels ?? like.channels,
    hidden: given.hidden ?? like.hidden,
    outputBias: given.outputBias ?? like.outputBias,
  };
  return withGiven(specOfSizes(sizes, like), given);
}
