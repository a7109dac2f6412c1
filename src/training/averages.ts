/**
 * Exponential moving averages with the power-function profile (Karras et al. 2024, "Analyzing and improving the training dynamics of
 * diffusion models", section 3): the average at step t weighs step s by (s / t)^gamma, so that its width is a fixed share of the
 * run, sigma_rel. From averages of two widths saved along the way, that of any width is put together after training (section 3.2).
 */
import { Matrix, solve } from 'ml-matrix';
import { fused, tf } from '../tensor/index.ts';
import type { Variables } from './optimiser.ts';

/** The gamma of a relative width: sigma_rel^2 = (gamma + 1) / ((gamma + 2)^2 (gamma + 3)), by bisection. */
export function gammaOf(sigmaRel: number): number {
  if (!(sigmaRel > 0 && sigmaRel < 0.28)) {
    throw new RangeError(`the width of an average must lie in (0, 0.28), not ${sigmaRel}`);
  }
  let [low, high] = [0, 1e9];
  for (let i = 0; i < 200; i++) {
    const gamma = (low + high) / 2;
    if ((gamma + 1) / ((gamma + 2) ** 2 * (gamma + 3)) > sigmaRel ** 2) low = gamma;
    else high = gamma;
  }
  return (low + high) / 2;
}

/** A moving average of variables, with memory of its own. Dispose of it. */
export interface MovingAverage {
  /** Its width as a share of the training, in (0, 0.28). */
  readonly sigmaRel: number;
  /** The averages, by the names of the variables. */
  readonly values: Variables;
  /** Takes in the variables after `step` updates (1 for the first). `scale`: that of the last update, where nobody has read it. */
  update(step: number, scale?: tf.Scalar): void;
  /** Exchanges averages and variables; once more brings them back. No numbers are copied. */
  swap(): void;
  dispose(): void;
}

/**
 * Begins a moving average of variables: avg += (1 - (1 - 1/t)^(gamma + 1)) (w - avg) after step t, gamma by `gammaOf`.
 * @param sigmaRel its width as a share of the training
 * @throws RangeError unless 0 < sigmaRel < 0.28
 */
export function movingAverage(variables: Variables, sigmaRel: number): MovingAverage {
  const gamma = gammaOf(sigmaRel);
  const values: Record<string, tf.Variable> = {};
  for (const [name, variable] of Object.entries(variables)) {
    // Memory of its own: `swap` and updates in place must not touch the variable's.
    values[name] = tf.tidy(() => tf.variable(tf.add(variable, 0), false));
  }
  return {
    sigmaRel,
    values,
    update(step, scale) {
      const fresh = 1 - (1 - 1 / step) ** (gamma + 1);
      fused.averageStep(Object.values(values), Object.values(variables), fresh, scale);
    },
    swap() {
      tf.tidy(() => {
        for (const [name, variable] of Object.entries(variables)) {
          const current = tf.clone(variable);
          variable.assign(tf.clone(values[name]));
          values[name].assign(current);
        }
      });
    },
    dispose: () => tf.dispose(Object.values(values)),
  };
}

/** What an average saw: its width and the step it was saved at. */
export interface AverageProfile {
  readonly sigmaRel: number;
  readonly step: number;
}

/** Coefficients of saved averages, and how well they put the wanted one together. */
export interface Reconstruction {
  /** They sum to 1, so that weights that never moved stay as they are. */
  readonly factors: readonly number[];
  /** Root of the squared distance of the profiles over the wanted one's square: 0 is exact, 1 as bad as nothing. */
  readonly error: number;
}

/**
 * Coefficients that put together the average of `target` from saved ones: the least-squares fit of their profiles (algorithm 3) among those
 * that sum to 1, by a Lagrange multiplier. The paper's fit is free; with few saved averages it then gives a share of the weights only.
 */
export function reconstruction(saved: readonly AverageProfile[], target: AverageProfile): Reconstruction {
  const count = saved.length;
  const gram = saved.map(a => saved.map(b => overlap(a, b)));
  const aim = saved.map(a => overlap(a, target));
  // In units of the largest overlap, so that the border of ones is no smaller than the rest.
  const unit = Math.max(...gram.map((row, i) => row[i]));
  const system = new Matrix([
    ...gram.map(row => [...row.map(x => x / unit), 1]),
    [...new Array<number>(count).fill(1), 0],
  ]);
  const right = Matrix.columnVector([...aim.map(x => x / unit), 1]);
  const factors = solve(system, right, true).to1DArray().slice(0, count);
  const own = overlap(target, target);
  let square = own;
  factors.forEach((x, i) => {
    square -= 2 * x * aim[i];
    factors.forEach((y, j) => {
      square += x * y * gram[i][j];
    });
  });
  return { factors, error: Math.sqrt(Math.max(0, square) / own) };
}

/** The integral of the product of two profiles p(s) = (gamma + 1) s^gamma / t^(gamma + 1) on [0, t]. */
function overlap(a: AverageProfile, b: AverageProfile): number {
  const [ga, gb] = [gammaOf(a.sigmaRel), gammaOf(b.sigmaRel)];
  const ratio = a.step / b.step;
  const power = ratio ** (a.step < b.step ? gb : -ga);
  return ((ga + 1) * (gb + 1) * power) / ((ga + gb + 1) * Math.max(a.step, b.step));
}
