/** What a contender could only be refused for after others were trained, asked before anything is. */
import { decode, orThrow, refuse } from '../config/index.ts';
import { loadDenoiser } from '../denoisers/index.ts';
import { checkDiffusion } from '../diffusion/index.ts';

/** Of `ContenderSettings` what is looked at. */
export interface CheckedContender {
  /** Where it stands in the configuration, such as `variants.condition-nca`; '' for the top. */
  readonly where: string;
  readonly denoiser: string;
  readonly parameters?: Readonly<Record<string, unknown>>;
  readonly diffusion: Readonly<Record<string, unknown>>;
  readonly rollout: unknown;
}

/**
 * Checks that every denoiser is there and takes its parameters, that every process is one, and that they go together and have a loss.
 * @throws UserError that names the place in the configuration
 */
export async function checkContenders(contenders: readonly CheckedContender[]): Promise<void> {
  for (const { where, denoiser, parameters, diffusion, rollout } of contenders) {
    const field = (name: string) => (where ? `${where}.${name}` : name);
    const kind = await loadDenoiser(denoiser, field('denoiser'));
    if (parameters)
      orThrow(decode(kind.config, { ...(kind.defaults as object), ...parameters }, field('parameters')));
    orThrow(checkDiffusion(diffusion, field('diffusion')));
    const { process } = diffusion;
    if (kind.conditionOnly && process !== 'regression')
      refuse(
        'configuration',
        `regression for ${kind.name}, which answers from its condition alone`,
        `${process}`,
        {
          field: field('diffusion.process'),
        },
      );
    if (process === 'regression' && diffusion.weightLoss === 0 && !rollout)
      refuse('configuration', 'above 0 where there is no rollout loss, for nothing else trains', '0', {
        field: field('diffusion.weightLoss'),
      });
  }
}
