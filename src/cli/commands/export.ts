import { existsSync, statSync } from 'node:fs';
import { basename, extname, join } from 'node:path';
import { type Command, Option } from 'commander';
import { refuse, settle } from '../../config/index.ts';
import {
  type GivenSpec,
  loadWeights,
  overrule,
  readZoo,
  WEIGHTS_HELP,
  zooWeights,
} from '../../data/index.ts';
import { MODEL } from '../../experiment/index.ts';
import {
  DENOISER_FILES,
  exportDenoiser,
  exportNcas,
  type NamedNca,
  NCA_TARGETS,
  type NcaTarget,
  ncaTargetAbout,
} from '../../export/index.ts';
import { givenSpec, saySpec, withSpec } from '../spec.ts';
import { jsonOption, keyValueTable, show } from '../tables.ts';

const DENOISER = 'denoiser';
const DENOISER_ABOUT = `the denoiser of a training run: ${DENOISER_FILES.tensors} and ${DENOISER_FILES.manifest}, which names every tensor`;

interface Options {
  readonly to: NcaTarget | typeof DENOISER;
  readonly out: string;
  readonly json?: boolean;
  readonly spec?: string;
}

/** One NCA, or all of a zoo that is named without one of its NCAs. */
async function ncasOf(argument: string, spec?: GivenSpec): Promise<{ ncas: NamedNca[]; one: boolean }> {
  if (existsSync(argument) && statSync(argument).isDirectory()) {
    const zoo = await settle(readZoo(argument));
    if (zoo.entries.length === 0) refuse(argument, 'a zoo with NCAs', 'an empty one');
    return {
      one: false,
      ncas: zoo.entries.map(({ name }, i) => {
        const weights = zooWeights(zoo, i);
        return {
          name,
          weights: spec ? { ...weights, spec: overrule(weights.spec, spec, argument) } : weights,
        };
      }),
    };
  }
  const weights = await settle(loadWeights(argument, { spec }));
  const name = argument.includes('#') ? argument.slice(argument.lastIndexOf('#') + 1) : basename(argument);
  return { one: true, ncas: [{ name: name.slice(0, name.length - extname(name).length), weights }] };
}

async function run(argument: string, { to, out, json, spec }: Options): Promise<void> {
  if (to === DENOISER) {
    if (spec !== undefined) refuse('option --spec', 'a target for NCAs beside it', `--to ${DENOISER}`);
    if (!existsSync(join(argument, MODEL))) {
      refuse(argument, `a finished run of \`weightloom train\`, with ${MODEL} in it`, 'none');
    }
    const { tensors, numbers } = await settle(exportDenoiser(argument, out));
    show(json, { to, out, tensors, numbers }, keyValueTable);
    return;
  }
  const { ncas, one } = await ncasOf(argument, await givenSpec(spec));
  const files = await settle(exportNcas(to, out, ncas, one));
  show(json, { to, NCAs: ncas.length, files }, ({ files: [first], ...rest }) =>
    keyValueTable({ ...rest, out: files.length === 1 ? first : `${files.length} files in ${out}` }),
  );
  await saySpec(ncas[0].weights.spec);
}

export function register(program: Command): void {
  const targets = [...NCA_TARGETS.map(name => [name, ncaTargetAbout(name)]), [DENOISER, DENOISER_ABOUT]];
  const command = program
    .command('export')
    .description('NCAs, parameter graphs and denoisers as files of PyTorch, NumPy, ONNX and graph programs')
    .argument('<what>', `${WEIGHTS_HELP}, a zoo folder for all its NCAs, or a training run`)
    .addOption(
      new Option('-t, --to <target>', 'what to write')
        .choices(targets.map(([name]) => name))
        .makeOptionMandatory(),
    )
    .requiredOption('-o, --out <path>', 'the file, or the folder where it is several')
    .addOption(jsonOption())
    .addHelpText(
      'after',
      `
Targets:
${targets.map(([name, about]) => `  ${name.padEnd(12)} ${about}`).join('\n')}

Examples:
  weightloom export configs/zoo/procedural#dots-007 --to onnx --out dots.onnx
  weightloom export configs/zoo/embedded --to npy --out dots-and-all
  weightloom export texture.pth --spec texture.yaml --to onnx --out texture.onnx
  weightloom export runs/train-quick --to denoiser --out exported`,
    )
    .action(run);
  withSpec(command);
}
