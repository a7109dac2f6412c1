/** The named variables of a network while it is being built. */
import * as tf from '@tensorflow/tfjs-core';
import { randomStream } from './random.ts';

/** Where a network's variables get their first values. */
export interface ParameterOptions {
  /** Seeds the initial values; each variable draws from a stream of its own name. */
  readonly seed: number;
  /** False for a frozen network. Default true. */
  readonly trainable?: boolean;
  /** Values to take instead of the initial ones, such as a checkpoint's. Must have the asked size. */
  readonly values?: (name: string, shape: readonly number[]) => Float32Array;
}

/**
 * Layers ask for their variables by a slash-separated name; the names are those of a checkpoint. `scope('a').zeros('b', shape)` makes
 * `a/b`. All scopes fill the same record.
 */
export class Parameters {
  /** All variables made so far, in every scope, by their full names. */
  readonly variables: Record<string, tf.Variable>;

  constructor(
    private readonly options: ParameterOptions,
    private readonly prefix = '',
    variables: Record<string, tf.Variable> = {},
  ) {
    this.variables = variables;
  }

  /** The same record under a further part of the names. Variables are made once: asking for a name again throws. */
  scope(name: string): Parameters {
    return new Parameters(this.options, `${this.prefix}${name}/`, this.variables);
  }

  /** Normal numbers of mean 0. */
  normal<R extends tf.Rank>(name: string, shape: tf.ShapeMap[R], std: number): tf.Variable<R> {
    return this.make(name, shape, (size, full) =>
      randomStream(this.options.seed, full).normals(size, 0, std),
    );
  }

  /** A variable of zeros. */
  zeros<R extends tf.Rank>(name: string, shape: tf.ShapeMap[R]): tf.Variable<R> {
    return this.make(name, shape, size => new Float32Array(size));
  }

  /** A variable of ones. */
  ones<R extends tf.Rank>(name: string, shape: tf.ShapeMap[R]): tf.Variable<R> {
    return this.make(name, shape, size => new Float32Array(size).fill(1));
  }

  /** Frees all variables of the record, whatever scope made them. */
  dispose(): void {
    tf.dispose(Object.values(this.variables));
  }

  private make<R extends tf.Rank>(
    name: string,
    shape: tf.ShapeMap[R],
    initial: (size: number, full: string) => Float32Array,
  ): tf.Variable<R> {
    const full = `${this.prefix}${name}`;
    if (full in this.variables) throw new Error(`a variable called ${full} exists already`);
    const dimensions = shape as number[];
    const size = dimensions.reduce((a, b) => a * b, 1);
    const data = this.options.values?.(full, dimensions) ?? initial(size, full);
    // Variables outlive the scope they are made in; the tensor they are made from need not.
    const variable = tf.tidy(() => tf.variable(tf.tensor(data, dimensions), this.options.trainable ?? true));
    this.variables[full] = variable;
    return variable as tf.Variable<R>;
  }
}
