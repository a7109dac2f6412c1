/** What the page asks its server for. */
import { weightCount } from '../../nca/index.ts';
import type { Library, RunInfo, SetInfo } from '../api.ts';

/** A sentence that the server said, for people. */
export class Told extends Error {}

async function get(path: string): Promise<Response> {
  const response = await fetch(path).catch(() => {
    throw new Told('The studio is not running any more: start `weightloom studio` again and reload.');
  });
  if (response.ok) return response;
  const { error } = await response.json().catch(() => ({ error: response.statusText }));
  throw new Told(String(error));
}

const once = <A extends string, T>(work: (name: A) => Promise<T>) => {
  const known = new Map<A, Promise<T>>();
  return (name: A): Promise<T> => {
    const found = known.get(name) ?? work(name);
    known.set(name, found);
    // What failed may come right: a run that was not finished is, later on.
    found.catch(() => known.delete(name));
    return found;
  };
};

const jsonOf = once(async (path: string) => (await get(path)).json());
const part = encodeURIComponent;

export const library = (): Promise<Library> => jsonOf('/api/library');
export const setInfo = (id: string): Promise<SetInfo> => jsonOf(`/api/sets/${part(id)}`);
export const runInfo = (id: string): Promise<RunInfo> => jsonOf(`/api/runs/${part(id)}`);

/** Weights [count, D]. */
export async function rows({ id, spec }: SetInfo, first: number, count = 1): Promise<Float32Array> {
  const response = await get(`/api/sets/${part(id)}/rows/${first}/${count}`);
  const weights = new Float32Array(await response.arrayBuffer());
  if (weights.length !== count * weightCount(spec)) throw new Told(`${id}: not whole NCAs`);
  return weights;
}

/** Weights of some rows, one after the other. */
export async function rowsAt(set: SetInfo, wanted: readonly number[]): Promise<Float32Array> {
  const found = await Promise.all(wanted.map(row => rows(set, row)));
  const all = new Float32Array(found.length * weightCount(set.spec));
  found.forEach((row, i) => {
    all.set(row, i * row.length);
  });
  return all;
}

/** Where the picture of a row lies. */
export const pictureUrl = ({ id }: SetInfo, row: number): string => `/api/sets/${part(id)}/pictures/${row}`;

/** Places [N, 2] of a set's NCAs. */
export const mapOf = once(
  async (id: string) => new Float32Array(await (await get(`/api/sets/${part(id)}/map`)).arrayBuffer()),
);
