/** `weightloom sample`: weights of NCAs for pictures, from a trained model; with --compare how good they are. */
import { type Command, InvalidArgumentError } from 'commander';
import { UserError } from '../../config/index.ts';
import { SAMPLERS, type SamplerName } from '../../diffusion/index.ts';
import { whole, within } from '../options.ts';
import type { ComparedOptions } from '../sample-compare.ts';
import type { SampleOptions } from '../sample-pictures.ts';

/** Options that say how single files are written or sampled, which a comparison does in its own way. */
const ALONE = [
  'guidanceInterval',
  'autoguidance',
  'canonical',
  'average',
  'trust',
  'size',
  'gif',
  'trajectory',
] as const;

async function run(
  options: SampleOptions & ComparedOptions & { readonly compare?: boolean },
  command: Command,
): Promise<void> {
  const given = (name: string) => command.getOptionValueSource(name) === 'cli';
  if (!options.compare) {
    for (const [name, flag] of [
      ['zoo', '--zoo'],
      ['pixelsPerTexel', '--pixels-per-texel'],
    ])
      if (given(name)) throw new UserError(`option ${flag}: expected with --compare, found without.`, 2);
    const { sample } = await import('../sample-pictures.ts');
    return sample(options);
  }
  for (const name of ALONE.filter(given)) {
    const flag = command.options.find(option => option.attributeName() === name)?.long;
    throw new UserError(`option ${flag}: expected without --compare, found both.`, 2);
  }
  const { compare } = await import('../sample-compare.ts');
  await compare({
    ...options,
    out: given('out') ? options.out : undefined,
    count: given('count') ? options.count : undefined,
  });
}

const scale = (text: string): number | 'fit' => (text === 'fit' ? text : within(0.01, 1000)(text));

const interval = (text: string): [number, number] => {
  const [low, high] = text.split(',').map(Number);
  if (!(low >= 0 && high > low)) throw new InvalidArgumentError('Expected two noise levels LOW,HIGH.');
  return [low, high];
};

const groups = (text: string) => {
  const names = text.split(',');
  if (!names.every(name => name === 'colour' || name === 'd4')) {
    throw new InvalidArgumentError('Expected colour, d4 or colour,d4.');
  }
  return names as ('colour' | 'd4')[];
};

const samplerName = (text: string) => {
  if (!(text in SAMPLERS))
    throw new InvalidArgumentError(`Expected one of ${Object.keys(SAMPLERS).join(', ')}.`);
  return text as SamplerName;
};

export const register = (program: Command): void => {
  program
    .command('sample')
    .description(
      'Sample the weights of NCAs that grow the textures of pictures: weights, PNG and GIF for each',
    )
    .requiredOption('-r, --run <folder>', 'of a finished training')
    .option(
      '-i, --image <files...>',
      'pictures to sample for; their centre squares count (with --compare folders too, cut as the zoo’s)',
    )
    .option('-o, --out <folder>', 'for what is written (with --compare: runs/photographs-<time>)', 'samples')
    .option('-n, --count <n>', 'samples for each picture (with --compare: 4)', whole(1, 1024), 1)
    .option(
      '--compare',
      'set the samples beside everything simpler and NCAs trained for the pictures: a page with a verdict on each',
    )
    .option('--zoo <folder>', 'with --compare: instead of the zoo that the model was trained on')
    .option(
      '--pixels-per-texel <n>',
      'with --compare: pixels of a picture to a cell, or fit for all of its shorter side (default: as the zoo’s)',
      scale,
    )
    .option('--steps <n>', 'of the sampler (default: as configured)', whole(1, 1000))
    .option(
      '--guidance <scale>',
      'of classifier-free guidance, 1 for none (default: as configured)',
      within(0, 100),
    )
    .option('--guidance-interval <low,high>', 'noise levels between which to guide', interval)
    .option(
      '--autoguidance <run>',
      'guide away from the weaker model of this run instead of from no condition',
    )
    .option('--sampler <name>', `${Object.keys(SAMPLERS).join(', ')} (default: as configured)`, samplerName)
    .option(
      '--canonical <groups>',
      'sample in the frame nearest to a training picture: colour, d4 or colour,d4',
      groups,
    )
    .option(
      '--finetune <n>',
      'iterations of training on the picture afterwards (with --compare: at most; default the zoo’s)',
      whole(0, 100000),
      0,
    )
    .option(
      '--average <width>',
      'moving average of another width, where the run kept averages',
      within(0.001, 0.279),
    )
    .option('--module <files...>', 'the denoiser or encoder of your own that the model was trained with')
    .option('--trust', 'run the code that the model names, and show its file and SHA-256')
    .option('--seed <n>', 'of noise and update masks', whole(), 1)
    .option('--size <n>', 'side of the pictures written', whole(3, 4096), 128)
    .option('--nca-steps <n>', 'NCA steps to a picture (default: as the zoo was rendered)', whole(1, 100000))
    .option('--no-gif', 'write no GIFs')
    .option(
      '--trajectory',
      'keep what the denoiser takes the weights for at every noise level, for `weightloom studio` (not with --canonical)',
    )
    .addHelpText(
      'after',
      `
Examples:
  $ weightloom sample --run runs/train-quick --image dots.png --count 4
  $ weightloom sample --run runs/train-quick --image a.jpg b.jpg --canonical colour,d4 --finetune 50 --out out
  $ weightloom sample --run runs/train-quick --image a.jpg b.jpg c.jpg --compare

With --compare every picture is answered by the model, by the nearest NCA of its zoo (also over turns and colours), by ridge regression and by the common base; an NCA is
trained for it as the zoo's were, and all are fine-tuned. report.html says which pictures work, which do not, and what fine-tuning costs; compare.png shows it,
results.json has the numbers. Stopped by Ctrl-C it goes on with: weightloom runs resume FOLDER`,
    )
    .action(run);
};
