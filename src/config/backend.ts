/** Which backend is asked for. A configuration's key is no part of what is computed, so that codecs and runs do not see it. */
import { show } from './decode.ts';
import { suggestion, UserError } from './failure.ts';

const BACKENDS = ['tensorflow', 'loom', 'gpu', 'loom-gpu', 'cpu'] as const;

/**
 * tfjs's own names: `tensorflow` (the native library), `loom` (our kernels on all cores), `cpu` (tfjs in plain JavaScript); and `gpu`: NCAs train
 * and grow on the GPU through WebGPU, everything else is loom's; with `loom-gpu` tensors are there too, and denoisers train there.
 */
export type BackendName = (typeof BACKENDS)[number];

/** The backend that somebody named. @param where whose word it is @throws UserError for any other word */
export function backendNamed(name: unknown, where: string, exitCode?: 1 | 2): BackendName {
  const known = BACKENDS.find(one => one === name);
  if (known) return known;
  throw new UserError(
    {
      where,
      expected: `one of ${BACKENDS.join(', ')}`,
      found: show(name),
      hint: typeof name === 'string' ? suggestion(name, BACKENDS) : undefined,
    },
    exitCode,
  );
}

let chosen: BackendName | undefined;

/** What the last configuration composed asked for, if it did. */
export const backendOfConfig = (): BackendName | undefined => chosen;

/** A configuration without its key `backend`, which is remembered; null asks for none. @throws UserError where it names no backend */
export function takeBackend<A extends { [key: string]: unknown }>({
  backend,
  ...config
}: A): Omit<A, 'backend'> {
  if (backend !== undefined && backend !== null) chosen = backendNamed(backend, 'backend');
  return config;
}
