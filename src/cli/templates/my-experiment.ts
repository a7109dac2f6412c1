/**
 * my-experiment: weightloom run ./my-experiment.ts
 *
 * A file with a question, a codec of its parameters (their values stand in my-experiment.yaml) and what is done to answer it. The report says the
 * rest.
 */
import {
  type Experiment,
  listOf,
  type Method,
  share,
  studyKeys,
  t,
  whole,
  withProtocol,
  writeComparison,
} from 'weightloom';

const Parameters = t.strict({
  // The zoo, its pictures and encoder, how methods are measured: the keys of every experiment on a zoo.
  ...studyKeys,
  seed: whole,
  /** Shares of the mean training weights. */
  shares: listOf(share),
});
type Parameters = t.TypeOf<typeof Parameters>;

/** Mean over the rows of [n, D]. */
function meanOf(weights: Float32Array, count: number): Float32Array {
  const size = weights.length / count;
  const mean = new Float32Array(size);
  for (let i = 0; i < weights.length; i++) mean[i % size] += weights[i] / count;
  return mean;
}

const experiment: Experiment<Parameters> = {
  name: 'my-experiment',
  question:
    'How far can the weights of an NCA be moved towards the mean of all others before it stops growing its texture?',
  parameters: Parameters,

  async run(context, parameters) {
    await withProtocol(context, parameters, async protocol => {
      const { train, heldOut } = protocol.study;
      const mean = meanOf(train.weights, train.names.length);
      // A method is a name and the weights [M, D] that it gives for the held-out textures: found in whatever way.
      const methods = parameters.shares.map(
        (part): Method => ({
          name: `${Math.round(100 * part)}% mean`,
          kind: 'baseline',
          weights: heldOut.weights.map((w, i) => (1 - part) * w + part * mean[i % mean.length]),
        }),
      );
      // All are run with the same masks and measured with the same metrics, and stand beside everything simpler.
      const results = [...(await protocol.measure(methods)), ...(await protocol.baselines(parameters.seed))];
      // report.html, gallery.png, results.json, results.csv, results.md and results.tex in the run folder.
      await writeComparison(context, protocol, { experiment, parameters, results, contenders: [] });
    });
  },
};

export default experiment;
