/** `weightloom encoders`: pretrained texture encoders and where their weights are. */
import type { Command } from 'commander';
import {
  cachedWeights,
  encoderKind,
  encoderNames,
  encoderNetworks,
  fetchNetwork,
  hasWeights,
  NETWORKS,
  type NetworkName,
  type PretrainedShapes,
  weightSources,
} from '../../conditioning/index.ts';
import { failure, orThrow, settle, suggestion, UserError } from '../../config/index.ts';
import { inceptionWanted, lpipsWanted } from '../../evaluation/index.ts';
import { interruption, progressBar } from '../../runs/index.ts';
import { group } from '../group.ts';
import { jsonOption, recordTable, show } from '../tables.ts';

interface FetchCommandOptions {
  readonly repo?: string;
  readonly file?: string;
  readonly revision?: string;
  readonly hub?: string;
  readonly update?: boolean;
  readonly whole?: boolean;
}

/** What is kept of each network's file. */
const WANTED: Readonly<Record<NetworkName, () => PretrainedShapes>> = {
  ...encoderNetworks,
  'inception-fid': () => inceptionWanted,
  'lpips-alex': () => lpipsWanted('alex'),
  'lpips-vgg': () => lpipsWanted('vgg'),
};

const MEGABYTE = 1 << 20;

function networkOf(name: string): NetworkName {
  if ((NETWORKS as readonly string[]).includes(name)) return name as NetworkName;
  const hint = suggestion(name, NETWORKS);
  throw new UserError(failure('network', `one of ${NETWORKS.join(', ')}`, `"${name}"`, { hint }));
}

async function fetch(name: string, options: FetchCommandOptions): Promise<void> {
  const network = networkOf(name);
  const { repo, file, revision, hub: hubUrl, update, whole } = options;
  const { signal, release } = interruption();
  let bar: ReturnType<typeof progressBar> | undefined;
  try {
    const fetched = await settle(
      fetchNetwork(network, WANTED[network](), {
        repo,
        files: file === undefined ? undefined : [file],
        revision,
        hubUrl,
        update,
        whole,
        signal,
        onWait: seconds => console.error(`The hub asks to wait ${Math.ceil(seconds)} s.`),
        onProgress: (bytes, total) => {
          bar ??= progressBar(`${network}, MB`, Math.ceil(total / MEGABYTE));
          bar.update(Math.ceil(bytes / MEGABYTE));
        },
      }),
    );
    bar?.stop();
    bar = undefined;
    const origin = fetched.transferred > 0 ? 'fetched' : 'already there and unchanged';
    const trust = fetched.verified
      ? 'verified'
      : 'only the part needed, which cannot be verified (--whole transfers and verifies the whole file)';
    console.log(`${fetched.path}: ${origin}, commit ${fetched.commit.slice(0, 12)}, ${trust}.`);
  } finally {
    bar?.stop();
    release();
  }
}

async function list({ json }: { json?: boolean }): Promise<void> {
  const sources = await settle(weightSources());
  const found = {
    encoders: encoderNames().map(name => ({
      encoder: name,
      'what it is': orThrow(encoderKind(name)).summary,
    })),
    networks: NETWORKS.map(name => ({
      network: name,
      weights: hasWeights(name) ? cachedWeights(name) : 'not fetched',
      from: sources[name]?.repo ?? 'no repository set',
    })),
  };
  show(json, found, ({ encoders, networks }) => `${recordTable(encoders)}\n${recordTable(networks)}`);
}

export function register(program: Command): void {
  const encoders = group(program, 'encoders');
  encoders
    .command('list')
    .description('Encoders, and the pretrained networks with where their weights are')
    .addOption(jsonOption())
    .addHelpText('after', '\nExample:\n  weightloom encoders list')
    .action(list);
  encoders
    .command('fetch <network>')
    .description(`Fetch weights from the Hugging Face hub: ${NETWORKS.join(', ')}`)
    .option('--repo <owner/name>', 'another repository than the one in configs/weights.yaml')
    .option('--file <name>', 'the file in the repository')
    .option('--revision <name>', 'branch, tag or commit')
    .option('--hub <url>', 'another hub, such as a mirror; it gets no token (default: HF_ENDPOINT)')
    .option('--whole', 'transfer and verify the whole file, also where less than half of it is needed')
    .option('--update', 'forget what was fetched before and take what the revision means now')
    .addHelpText(
      'after',
      '\nThe files go to the cache folder (WEIGHTLOOM_CACHE changes it). Ctrl-C stops; the same command goes on from there.' +
        '\nHF_TOKEN opens private and gated repositories, HF_ENDPOINT names another hub.' +
        '\n\nExample:\n  weightloom encoders fetch vgg16',
    )
    .action(fetch);
}
