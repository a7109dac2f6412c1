/** What `configs/launcher/slurm.yaml` says. */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import * as t from 'io-ts';
import {
  CONFIGS,
  loadConfig,
  natural,
  optional,
  refuse,
  settle,
  suggestion,
  whole,
} from '../../config/index.ts';

const Scalar = t.union([t.string, t.number, t.boolean, t.null]);

export const SlurmSettingsCodec = t.strict({
  partition: optional(t.string),
  account: optional(t.string),
  time: optional(t.union([t.string, t.number])),
  memory: optional(t.union([t.string, t.number])),
  cpus: natural,
  gpus: optional(t.union([t.string, t.number])),
  notice: whole,
  atOnce: optional(natural),
  modules: t.array(t.string),
  setup: t.array(t.string),
  directives: t.record(t.string, Scalar),
});
/** Directives of sbatch and what else a task needs: the keys of configs/launcher/slurm.yaml. */
export type SlurmSettings = t.TypeOf<typeof SlurmSettingsCodec>;

const FOLDER = join(CONFIGS, 'launcher');

/** Directives that the launcher sets itself. */
const OWN = [
  'array',
  'chdir',
  'dependency',
  'job-name',
  'open-mode',
  'output',
  'error',
  'parsable',
  'signal',
  'wrap',
];

/**
 * @param name `slurm`, or the path of a YAML file
 * @param overrides `key=value` words
 * @throws UserError for an unknown key or a value that does not fit
 */
export async function slurmSettings(name: string, overrides: readonly string[] = []): Promise<SlurmSettings> {
  const isFile = /\.ya?ml$/.test(name);
  if (!isFile && !existsSync(join(FOLDER, `${name}.yaml`))) {
    const known = [
      'local',
      ...readdirSync(FOLDER)
        .filter(file => file.endsWith('.yaml'))
        .map(file => file.slice(0, -5)),
    ];
    refuse('launcher', `${known.join(', ')} or a YAML file`, `"${name}"`, { hint: suggestion(name, known) });
  }
  const { value } = await settle(
    loadConfig(SlurmSettingsCodec, isFile ? name : join('launcher', name), {
      overrides,
      roots: [CONFIGS],
    }),
  );
  for (const [key, given] of Object.entries(value.directives)) {
    const field = `directives.${key}`;
    if (OWN.includes(key))
      refuse(`launcher ${name}`, 'directives that the launcher does not set itself', key, { field });
    if (!/^[a-z][a-z0-9-]*$/.test(key)) {
      refuse(`launcher ${name}`, 'the long name of a directive, without dashes in front', `"${key}"`, {
        field,
      });
    }
    if (/[\n\r]/.test(String(given)))
      refuse(`launcher ${name}`, 'a value of one line', JSON.stringify(given), { field });
  }
  return value;
}
