/** The backend that a configuration asks for with its key `backend`: no part of what is computed, so that codecs and runs do not see it. */
let chosen: string | undefined;

/** What the last configuration composed asked for, if it did. */
export const backendOfConfig = (): string | undefined => chosen;

/** A configuration without its key `backend`, which is remembered. */
export function takeBackend<A extends { [key: string]: unknown }>({
  backend,
  ...config
}: A): Omit<A, 'backend'> {
  if (typeof backend === 'string') chosen = backend;
  return config;
}
