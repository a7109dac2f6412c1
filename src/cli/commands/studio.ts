/** `weightloom studio`: zoos, runs and weights, live in the browser. */
import { spawn } from 'node:child_process';
import type { Command } from 'commander';
import { whole } from '../options.ts';

interface Options {
  port?: number;
  open?: boolean;
}

/** The program that opens an address on this system. */
const OPENERS: Partial<Record<NodeJS.Platform, readonly string[]>> = {
  darwin: ['open'],
  win32: ['cmd', '/c', 'start', ''],
};

function openBrowser(url: string): void {
  const [program, ...words] = OPENERS[process.platform] ?? ['xdg-open'];
  const opened = spawn(program, [...words, url], { stdio: 'ignore', detached: true });
  opened.on('error', () =>
    console.error(`no browser could be opened (${program}); the address stands above`),
  );
  opened.unref();
}

async function studio(paths: string[], { port, open }: Options): Promise<void> {
  const { startStudio } = await import('../../studio/index.ts');
  const { url, sources, close } = await startStudio({
    paths,
    port,
    onProblem: sentence => console.error(sentence),
  });
  const count = sources.filter(
    ({ problem, sets }) => problem === null || Object.keys(sets).length > 0,
  ).length;
  console.log(`weightloom studio: ${count} of ${sources.length} sources at\n\n  ${url}\n\nCtrl-C ends it.`);
  if (open) openBrowser(url);
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => {
      close().then(() => process.exit(0));
    });
  }
}

export const register = (program: Command): void => {
  program
    .command('studio')
    .description('Show zoos, runs and weights in the browser: growing, compared, turned about, as graphs')
    .argument('[paths...]', 'runs, zoos, weights (default: the embedded zoo and everything in runs/)')
    .option('-p, --port <n>', 'on the loopback interface (default: a free one)', whole(1, 65535))
    .option('--open', 'open a browser')
    .addHelpText(
      'after',
      `
Examples:
  $ weightloom studio --open
  $ weightloom studio runs/quickstart configs/zoo/procedural dots.pt`,
    )
    .action(studio);
};
