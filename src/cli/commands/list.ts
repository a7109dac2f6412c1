/** `weightloom list`: what there is to choose from, by the name that a configuration calls it by. */
import { Argument, type Command } from 'commander';
import { orThrow } from '../../config/index.ts';
import { jsonOption, recordTable, show } from '../tables.ts';

type Listed = { readonly name: string; readonly about: string };

const LISTS: Readonly<Record<string, () => Promise<Listed[]>>> = {
  async denoisers() {
    const { denoiserKind, denoiserNames } = await import('../../denoisers/index.ts');
    return denoiserNames().map(name => ({ name, about: orThrow(denoiserKind(name)).summary }));
  },
  async encoders() {
    const { encoderKind, encoderNames } = await import('../../conditioning/index.ts');
    return encoderNames().map(name => ({ name, about: orThrow(encoderKind(name)).summary }));
  },
  async experiments() {
    const { experimentNames, loadExperiment } = await import('../../experiment/index.ts');
    const names = experimentNames();
    const experiments = await Promise.all(names.map(name => loadExperiment(name)));
    return names.map((name, i) => ({ name, about: experiments[i].question }));
  },
  async symmetries() {
    const { SYMMETRIES, SYMMETRY_NAMES } = await import('../../nca/index.ts');
    return SYMMETRY_NAMES.map(name => ({ name, about: SYMMETRIES[name].summary }));
  },
};

export function register(program: Command): void {
  program
    .command('list')
    .description('What there is to choose from: denoisers, encoders, experiments, symmetries')
    .addArgument(new Argument('<what>', 'the list').choices(Object.keys(LISTS)))
    .addOption(jsonOption())
    .addHelpText('after', '\nExample:\n  weightloom list denoisers\n  weightloom list symmetries --json')
    .action(async (what: string, { json }: { json?: boolean }) => {
      show(json, await LISTS[what](), recordTable);
    });
}
