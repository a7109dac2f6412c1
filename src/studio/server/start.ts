/** The studio from its arguments: opened sources, the built page and the kernels, served. */
import { ensureKernels, wasmPath } from '../../compute/build.mjs';
import { ensureProgram } from '../../report/browser.mjs';
import { type RunningServer, serve } from './server.ts';
import { defaultPaths, openSources, type Source, sentenceOf } from './sources.ts';

/** What the studio shows, and where. */
export interface StudioOptions {
  /** Zoos, runs, folders of runs, weights as every command takes them. None: the embedded zoo and every run in `runs`. */
  readonly paths?: readonly string[];
  /** Default: one that the system chooses. */
  readonly port?: number;
  /** Told of what is wrong with something that was given, in a sentence. */
  onProblem?(sentence: string): void;
}

/** A studio that is being served. */
export interface Studio extends RunningServer {
  readonly url: string;
  readonly sources: readonly Source['info'][];
}

/** The kernels that a page runs: the NCA's, in the builds that browsers take. */
const KERNELS = 'src/nca/kernel/assembly';
const BROWSER_BUILDS = ['fma', 'simd'] as const;
/** Zoos are read whole, to see that they are what they say, when the first page has had its turn. */
const VERIFY_AFTER = 3000;

/**
 * Starts the studio on the loopback interface.
 *
 *     const { url, close } = await startStudio({ paths: ['runs/quickstart', 'embedded'] });
 *
 * @throws UserError when the port is taken
 */
export async function startStudio({ paths = [], port, onProblem }: StudioOptions = {}): Promise<Studio> {
  const forced = process.env.WEIGHTLOOM_BUILD;
  const builds = BROWSER_BUILDS.filter(build => !forced || forced === build);
  const offered = builds.length > 0 ? builds : BROWSER_BUILDS;
  await ensureKernels([...offered]);
  const page = await ensureProgram('studio');
  const given = () => (paths.length > 0 ? paths : defaultPaths());
  let sources = await openSources(given());
  const again = async () => {
    sources = await openSources(given(), sources);
    return sources;
  };
  for (const { info } of sources) if (info.problem !== null) onProblem?.(info.problem);
  const kernels = Object.fromEntries(offered.map(build => [build, wasmPath(KERNELS, build)]));
  const running = await serve({ sources, again, page, kernels }, port);
  const verifying = setTimeout(async () => {
    for (const set of sources.flatMap(source => source.sets)) {
      await set.verify().catch(error => onProblem?.(sentenceOf(error)));
    }
  }, VERIFY_AFTER);
  return {
    ...running,
    url: `http://127.0.0.1:${running.port}/`,
    sources: sources.map(({ info }) => info),
    close: () => {
      clearTimeout(verifying);
      return running.close();
    },
  };
}
