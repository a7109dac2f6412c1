/** `weightloom zoo pull` and `weightloom runs pull`: zoos and trained models from the Hugging Face hub. */
import type { Command } from 'commander';
import { settle } from '../config/index.ts';
import { group } from './group.ts';

interface Options {
  out: string;
  hub?: string;
}

const MEGABYTE = 1 << 20;

const puller =
  (what: 'zoo' | 'run') =>
  async (source: string, { out, hub: hubUrl }: Options): Promise<void> => {
    const { pullRun, pullZoo } = await import('../data/index.ts');
    const { interruption, progressBar } = await import('../runs/index.ts');
    const { signal, release } = interruption();
    let bar: ReturnType<typeof progressBar> | undefined;
    try {
      const pulled = await settle(
        (what === 'zoo' ? pullZoo : pullRun)({
          source,
          target: out,
          hubUrl,
          signal,
          onWait: seconds => console.error(`The hub asks to wait ${Math.ceil(seconds)} s.`),
          onProgress(bytes, total) {
            if (total < MEGABYTE) return;
            bar ??= progressBar(`${what}, MB`, Math.ceil(total / MEGABYTE));
            bar.update(Math.ceil(bytes / MEGABYTE));
          },
        }),
      );
      bar?.stop();
      bar = undefined;
      console.log(`${out}: ${pulled.files} files, verified, commit ${pulled.commit.slice(0, 12)}.`);
    } finally {
      bar?.stop();
      release();
    }
  };

const HELP = `
Every file is verified against the hash that the hub states. Ctrl-C stops; the same command goes on from there, at the same commit.
HF_TOKEN opens private repositories, HF_ENDPOINT names another hub.
`;

/** Adds `pull` to a group of commands. */
export function addPull(program: Command, name: 'zoo' | 'runs', what: 'zoo' | 'run', about: string): void {
  group(program, name)
    .command('pull')
    .description(about)
    .argument('<source>', 'hf://owner/name or hf://datasets/owner/name, then @revision and /path if wanted')
    .requiredOption('-o, --out <folder>', 'the new folder')
    .option('--hub <url>', 'another hub, such as a mirror; it gets no token')
    .addHelpText('after', `${HELP}\nExample:\n  weightloom ${name} pull hf://owner/name --out ${what}s/name`)
    .action(puller(what));
}
